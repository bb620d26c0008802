"""A trained network in a folder of its own, to be loaded anywhere in three lines: ``ews export``.

The folder holds ``model.safetensors``, ``model.json`` (what :func:`load` needs) and ``model_info.json`` (the form of
RobustBench's model_info). What is loaded is a module that takes images in [0, 1], [B, 3, H, W], and returns logits,
which is what RobustBench's ``benchmark()`` takes::

    from ews.pipeline.export import load
    model = load("exported/at")
    logits = model(images)
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file

from ews import models
from ews.attacks.norms import spelled
from ews.core import files
from ews.core.command_line import Parser, Reads, Writes
from ews.core.device import usable
from ews.core.documents import Document, read_sealed, write_sealed
from ews.core.errors import EwsError
from ews.data.dataset import load as load_data
from ews.methods.method_registry import METHODS
from ews.models.inputs import InputCheck
from ews.models.network import Head, Network
from ews.pipeline.artifacts import run_files
from ews.pipeline.artifacts.evaluation import read_result
from ews.pipeline.artifacts.run import FinishedRun
from ews.pipeline.artifacts.weights import read_network
from ews.pipeline.evaluate.adversarial.adversarial_spec import SPEC as ADVERSARIAL
from ews.pipeline.evaluate.adversarial.adversarial_spec import AdversarialOptions, AttackedWeights
from ews.pipeline.study.cell import ArchitectureCell, Cell

WEIGHTS = run_files.LAST
MODEL = "model.json"
INFO = "model_info.json"
FORMAT: Literal[3] = 3
AGAIN = "Export it again with `ews export`."


class Exported(Document):
    """The content of model.json: what is needed to build the network, and what it was trained as."""

    format: Literal[3] = FORMAT
    architecture: ArchitectureCell
    classes: list[str]
    mean: list[float]
    std: list[float]
    image_size: int
    weights: Literal["last", "best"]
    cell: Cell
    sha256: str


def load(folder: Path | str, *, device: torch.device | str = "cpu", checked: bool = True) -> Network:
    """Return an exported network, in evaluation mode.

    Args:
        folder: what ``ews export`` wrote.
        device: where it shall compute.
        checked: whether it refuses, with an :class:`EwsError`, what are no images of its size in [0, 1] (by 0.01 at
            most outside). False: for noise that leaves the range, other sizes, or a GPU that shall not be waited for.

    Returns:
        a module: float [B, 3, H, W] in [0, 1] to logits [B, classes]; it normalises its input itself. Compiled, it
        checks nothing.

    Raises:
        EwsError: a file is missing, damaged, or of a later version of this package; there is no such device.
    """
    if not isinstance(folder, str | Path):
        raise EwsError(f"load: {folder!r} is no path; give the folder that `ews export` wrote.")
    folder = Path(folder)
    about = read_sealed(folder / MODEL, Exported, remedy=AGAIN)
    path = folder / WEIGHTS
    if not path.is_file() or files.sha256(path) != about.sha256:
        raise EwsError(f"{path}: missing, damaged, or not the weights that {MODEL} names. {AGAIN}")
    # This generator leaves the global one alone: the weights are replaced at once.
    head = Head(classes=len(about.classes), mean=about.mean, std=about.std, generator=torch.Generator())
    network = models.build(about.architecture.parameters, head, dynamic=about.architecture.dynamic_parameters)
    try:
        network.load_state_dict(load_file(path))
    except (SafetensorError, RuntimeError) as error:
        raise EwsError(f"{path}: does not fit the network of {MODEL}: {error} {AGAIN}") from None
    if checked:
        check = InputCheck(channels=len(about.mean), side=about.image_size)
        network.register_forward_pre_hook(check, with_kwargs=True, prepend=True)
    return network.to(usable(device)).eval()


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
        EwsError: the run is not whole, was trained on other data, or has no such weights; or the folder cannot be
            written, which then is as it was.
    """
    finished, dataset = FinishedRun.open(run), load_data(data, verify=False)
    finished.check_data(dataset)
    name = run_files.WEIGHTS["best" if best else "last"]
    if not finished.has(name):
        raise EwsError(f"{run}: has no {name}: no validation images selected an epoch. Leave --best out.")
    # Checked against the record, and built, before anything is written.
    read_network(finished, name, dataset=dataset, device=torch.device("cpu"))
    measured = _measured(results or run, finished, best=best)
    info = _info(finished.record.cell, measured, len(dataset.test_labels), best=best) | (given or {})
    with files.staged(out, last=MODEL) as new:
        # Not shutil's: where there is no room it names the file that is read.
        (new / WEIGHTS).write_bytes((run / name).read_bytes())
        files.write_json(new / INFO, info)
        write_sealed(
            new / MODEL,
            Exported(
                architecture=finished.record.cell.architecture,
                classes=dataset.classes,
                mean=list(dataset.mean),
                std=list(dataset.std),
                image_size=dataset.image_size,
                weights="best" if best else "last",
                cell=finished.record.cell,
                sha256=finished.record.files[name],
            ),
        )


def _measured(results: Path, run: FinishedRun, *, best: bool) -> tuple[AttackedWeights, AdversarialOptions] | None:
    """Return what attacks found of these weights, and what they were, if the run was attacked."""
    if not (results / run_files.result(ADVERSARIAL.name)).is_file():
        return None
    found = read_result(results, ADVERSARIAL, run)
    part = found.result.best if best else found.result.last
    return None if part is None else (part, found.options)


def _info(
    cell: Cell, measured: tuple[AttackedWeights, AdversarialOptions] | None, images: int, *, best: bool
) -> dict[str, Any]:
    """Return RobustBench's record of a model; accuracies in percent as text with two decimals, as it has them."""
    info: dict[str, Any] = {
        "link": None,
        "name": f"{cell.method.name}, {cell.augmentation.name} augmentation, seed {cell.seed}",
        "authors": None,
        "additional_data": any(METHODS[name].extra_data for name in cell.method.names),
        "number_forward_passes": 1,
        "dataset": cell.dataset,
        "venue": "Unpublished",
        "architecture": architecture_name(cell.architecture),
        "eps": None,
        "clean_acc": None,
        "reported": None,
        "autoattack_acc": None,
        "unreliable": None,
        "footnote": f"Weights of the {'epoch selected on validation images' if best else 'last epoch'}.",
    }
    if measured is None:
        return info
    found, options = measured
    info |= {
        "eps": spelled(options.epsilon, options.norm),
        "clean_acc": f"{100 - found.clean.error:.2f}",
        "autoattack_acc": f"{100 - found.autoattack.error:.2f}",
        "unreliable": bool(found.warnings),
    }
    if options.norm != "Linf":
        info["footnote"] += f" Threat model {options.norm}."
    if found.autoattack.left_out:
        info["footnote"] += f" AutoAttack without {', '.join(found.autoattack.left_out)}: too few classes."
    if found.autoattack.n < images or options.version != "standard":
        info["footnote"] += f" AutoAttack ({options.version}) on {found.autoattack.n:,} of {images:,} test images."
    if found.clean.n < images:
        info["footnote"] += f" Clean accuracy on {found.clean.n:,} of {images:,}."
    return info


def architecture_name(architecture: ArchitectureCell) -> str:
    """Return an architecture's name as RobustBench's files spell it: ``WideResNet-34-10``, ``PreActResNet-18``.

    Such a name stands for a published width. A thinner or wider network keeps the name that ``params.yaml`` gives it;
    so does any other network. Softplus in the place of ReLU, and what makes it depend on its input, are added:
    ``WideResNet-34-10, softplus``, ``WideResNet-34-10, awnet``.

    Args:
        architecture: of a cell.
    """
    match architecture.parameters.model_dump():
        case {"network": "wide_resnet", "depth": depth, "widen": widen}:
            name = f"WideResNet-{depth}-{widen}"
        case {"network": "preact_resnet", "depth": depth, "width": 64}:
            name = f"PreActResNet-{depth}"
        case {"network": "resnet", "depth": depth, "width": 64}:
            name = f"ResNet-{depth}"
        case {"network": "cifar_resnet", "depth": depth, "width": 16}:
            name = f"ResNet-{depth}"
        case _:
            name = architecture.name
    activation = architecture.parameters.activation
    dynamic = architecture.dynamic
    return ", ".join([name, *([] if activation == "relu" else [activation]), *([dynamic.name] if dynamic else [])])


def main(argv: Sequence[str]) -> None:
    """Parse the command line and export."""
    parser = Parser(prog="ews export", description="Export a trained network.")
    parser.add_argument("--run", required=True, type=Reads(), help="folder of a finished run")
    parser.add_argument("--data", required=True, type=Reads(), help="folder of the dataset it was trained on")
    parser.add_argument("--out", required=True, type=Writes(), help="folder to write")
    parser.add_argument("--best", action="store_true", help="weights that validation images selected, not the last")
    parser.add_argument("--results", type=Reads(), help="folder with adversarial.json (default: the run's)")
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
