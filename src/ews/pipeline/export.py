"""A trained network in a folder of its own, to be loaded anywhere in three lines: ``ews export``.

The folder holds ``model.safetensors``, ``model.json`` (what :func:`load` needs) and ``model_info.json`` (the form of
RobustBench's model_info). What is loaded is a module that takes images in [0, 1], [B, 3, H, W], and returns logits,
which is what RobustBench's ``benchmark()`` takes::

    from ews.pipeline.export import load
    model = load("exported/at")
    logits = model(images)
"""

import argparse
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file

from ews import models
from ews.core import files
from ews.core.errors import EwsError
from ews.data.dataset import load as load_data
from ews.models.network import Head, Network
from ews.pipeline.artifacts.finished import BEST, LAST, RECORD, check_data, read_record
from ews.pipeline.evaluate.subject import Subject
from ews.pipeline.study import typed

WEIGHTS = "model.safetensors"
MODEL = "model.json"
INFO = "model_info.json"
FORMAT = 1
ADVERSARIAL = "adversarial.json"
AGAIN = "Export it again with `ews export`."


def load(folder: Path | str, *, device: torch.device | str = "cpu") -> Network:
    """Return an exported network, in evaluation mode.

    Args:
        folder: what ``ews export`` wrote.
        device: where it shall compute.

    Returns:
        a module: float [B, 3, H, W] in [0, 1] to logits [B, classes]; it normalises its input itself.

    Raises:
        EwsError: a file is missing, damaged, or of a later version of this package.
    """
    folder = Path(folder)
    about = files.read_json(folder / MODEL)
    if not isinstance(about, dict) or about.get("format") != FORMAT:
        raise EwsError(f"{folder / MODEL}: not an exported model of format {FORMAT}. {AGAIN}")
    path = folder / WEIGHTS
    if not path.is_file() or files.sha256(path) != about["sha256"]:
        raise EwsError(f"{path}: missing, damaged, or not the weights that {MODEL} names. {AGAIN}")
    # This generator leaves the global one alone: the weights are replaced at once.
    head = Head(classes=len(about["classes"]), mean=about["mean"], std=about["std"], generator=torch.Generator())
    architecture, dynamic = typed.network(about["architecture"])
    network = models.build(architecture, head, dynamic=dynamic)
    try:
        network.load_state_dict(load_file(path))
    except (SafetensorError, RuntimeError) as error:
        raise EwsError(f"{path}: does not fit the network of {MODEL}: {error} {AGAIN}") from None
    return network.to(device).eval()


def export(
    *,
    run: Path,
    data: Path,
    out: Path,
    best: bool = False,
    results: Path | None = None,
    given: dict[str, str] | None = None,
) -> None:
    """Write a run's weights and what belongs to them to a folder.

    Args:
        run: folder of a finished run.
        data: folder of the dataset that it was trained on.
        out: folder to write to; files of an earlier export are replaced.
        best: the weights of the epoch that validation images selected, not the last epoch's.
        results: folder with adversarial.json; None: the run's. Without the file the record has no accuracies.
        given: entries of model_info that only a person knows: name, authors, link, venue.

    Raises:
        EwsError: the run is not whole, was trained on other data, or has no such weights.
    """
    record = read_record(run)
    dataset = load_data(data, verify=False)
    check_data(run, record, dataset)
    name = BEST if best else LAST
    subject = Subject(run, record, dataset, None, torch.device("cpu"), code="", work=run)
    if not subject.has(name):
        raise EwsError(f"{run}: has no {name}: no validation images selected an epoch. Leave --best out.")
    # Checked against the record, and built, before anything is written.
    subject.network(name)
    measured = _measured(results or run, run, best=best)
    out.mkdir(parents=True, exist_ok=True)
    with files.atomic(out / WEIGHTS) as temporary:
        shutil.copyfile(run / name, temporary)
    files.write_json(out / INFO, _info(record, measured, len(dataset.test_labels), best=best) | (given or {}))
    files.write_json(
        out / MODEL,
        {
            "format": FORMAT,
            "architecture": record["cell"]["architecture"],
            "classes": dataset.classes,
            "mean": dataset.mean,
            "std": dataset.std,
            "image_size": dataset.image_size,
            "weights": "best" if best else "last",
            "cell": record["cell"],
            "sha256": record["files"][name],
        },
    )


def _measured(results: Path, run: Path, *, best: bool) -> dict[str, Any] | None:
    """Return what adversarial.json says of these weights, if there is one."""
    path = results / ADVERSARIAL
    if not path.is_file():
        return None
    content: dict[str, Any] = files.read_json(path)
    if content.get("record") != files.sha256(run / RECORD):
        raise EwsError(f"{path}: is not of {run / RECORD}. Evaluate this run again, or give --results.")
    part = content.get("best") if best else content
    return None if part is None else {**part, "settings": content["settings"]}


def _info(record: dict[str, Any], measured: dict[str, Any] | None, images: int, *, best: bool) -> dict[str, Any]:
    """Return RobustBench's record of a model; accuracies in percent as text with two decimals, as it has them."""
    cell = record["cell"]
    info: dict[str, Any] = {
        "link": None,
        "name": f"{cell['method']['name']}, {cell['augmentation']['name']} augmentation, seed {cell['seed']}",
        "authors": None,
        "additional_data": any(component["name"] == "rst" for component in cell["method"]["components"]),
        "number_forward_passes": 1,
        "dataset": cell["dataset"],
        "venue": "Unpublished",
        "architecture": architecture_name(cell["architecture"]),
        "eps": None,
        "clean_acc": None,
        "reported": None,
        "autoattack_acc": None,
        "unreliable": None,
        "footnote": f"Weights of the {'epoch selected on validation images' if best else 'last epoch'}.",
    }
    if measured is None:
        return info
    attack, settings = measured["autoattack"], measured["settings"]
    grey = round(255 * settings["epsilon"])
    whole = abs(255 * settings["epsilon"] - grey) < 1e-9
    info |= {
        "eps": f"{grey}/255" if whole else f"{settings['epsilon']:g}",
        "clean_acc": f"{100 - measured['clean']['error']:.2f}",
        "autoattack_acc": f"{100 - attack['error']:.2f}",
        "unreliable": bool(measured["warnings"]),
    }
    if attack["n"] < images or settings["autoattack"]["version"] != "standard":
        version = settings["autoattack"]["version"]
        info["footnote"] += f" AutoAttack ({version}) on {attack['n']:,} of {images:,} test images."
    if measured["clean"]["n"] < images:
        info["footnote"] += f" Clean accuracy on {measured['clean']['n']:,} of {images:,}."
    return info


def architecture_name(architecture: Mapping[str, Any]) -> str:
    """Return an architecture's name as RobustBench's files spell it: ``WideResNet-34-10``, ``PreActResNet-18``.

    Such a name stands for a published width. A thinner or wider network keeps the name that ``params.yaml`` gives it;
    so does any other network. What makes it depend on its input is added: ``WideResNet-34-10, awnet``.

    Args:
        architecture: of a cell.
    """
    match architecture:
        case {"network": "wide_resnet", "depth": depth, "widen": widen}:
            name = f"WideResNet-{depth}-{widen}"
        case {"network": "preact_resnet", "depth": depth, "width": 64}:
            name = f"PreActResNet-{depth}"
        case {"network": "resnet", "depth": depth, "width": 64}:
            name = f"ResNet-{depth}"
        case {"network": "cifar_resnet", "depth": depth, "width": 16}:
            name = f"ResNet-{depth}"
        case _:
            name = str(architecture["name"])
    dynamic = architecture.get("dynamic")
    return f"{name}, {dynamic['name']}" if dynamic else name


def main(argv: Sequence[str]) -> None:
    """Parse the command line and export."""
    parser = argparse.ArgumentParser(prog="ews export", description="Export a trained network.")
    parser.add_argument("--run", required=True, type=Path, help="folder of a finished run")
    parser.add_argument("--data", required=True, type=Path, help="folder of the dataset it was trained on")
    parser.add_argument("--out", required=True, type=Path, help="folder to write")
    parser.add_argument("--best", action="store_true", help="weights that validation images selected, not the last")
    parser.add_argument("--results", type=Path, help="folder with adversarial.json (default: the run's)")
    for name in ("name", "authors", "link", "venue"):
        parser.add_argument(f"--{name}", help=f"`{name}` of {INFO}")
    arguments = parser.parse_args(argv)
    given = {name: value for name in ("name", "authors", "link", "venue") if (value := getattr(arguments, name))}
    export(
        run=arguments.run,
        data=arguments.data,
        out=arguments.out,
        best=arguments.best,
        results=arguments.results,
        given=given,
    )
    print(f"{arguments.out}: exported; load it with ews.pipeline.export.load({str(arguments.out)!r}).")
