"""Hours of training that a study of params.yaml would take on this device, from its own training steps.

    python benchmarks/hours.py --study table1 table4 --out benchmarks/results
    python benchmarks/hours.py --study table1 --write-cells cells.json       # then, on a machine with torch alone:
    python benchmarks/hours.py --cells cells.json --threads 16 --out benchmarks/results

For each kind of training (what differs only in seed, dataset or a number that costs nothing is one kind), steps of the
last epoch are timed as the training loop takes them: loader, attack, gradients, subnet, controller update as it falls
due, optimiser; and the validation after an epoch, on some of its images. Images are noise. A study's hours are those of
all its different training runs, teachers among them, one after the other; evaluations come on top. Writes
``hours.DEVICE.json`` and ``.md``, anew after each kind: what is measured stays if a later one is interrupted.
"""

import argparse
import itertools
import json
import math
import sys
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from common import machine, machine_line, prepare, spread, wait

from ews import models
from ews.core.console import finished
from ews.core.device import bfloat16
from ews.core.errors import EwsError, unknown
from ews.core.files import read_json, sha256, write_json, write_text
from ews.data.dataset import Dataset, load
from ews.data.extra import folder_of
from ews.methods.epoch_sizes import epoch_sizes, mixture_of
from ews.methods.ews.ews_spec import EwsParameters
from ews.models.network import Head
from ews.pipeline.study.cell import Cell
from ews.pipeline.train import optim
from ews.pipeline.train.training import Training

SIDE, TRAIN, VALIDATION, EXTRA = 32, 50_000, 5_000, 5_000
CLASSES = {"cifar10": 10, "cifar10_jpeg": 10, "cifar100": 100}
# Numbers that change what a training run learns, or how many steps it takes, and not what a step costs.
FREE = {
    "ews": ("weight", "learning_rate", "betas", "entropy", "entropy_bonus", "baseline_decay", "gradient_clip"),
    "rst": ("epoch",),
}
RECIPE = ("batch_size", "precision")
STUDIES = ["table1", "table5", "figure5", "figure6_lambda", "figure6_width", "table4"]

Cells = dict[str, Cell]


def planned(path: Path, names: list[str]) -> dict[str, Cells]:
    """Return the different training runs of studies of a params.yaml: study -> run -> cell."""
    from ews.pipeline.study.cells import trainings
    from ews.pipeline.study.params import load as load_params
    from ews.pipeline.study.plans import plan_one

    params = load_params(path)
    for name in names:
        if name not in params.studies:
            raise unknown("study", name, params.studies)
    return {name: trainings(plan_one(params, name).cells(name)) for name in names}


def read_cells(path: Path) -> dict[str, Cells]:
    """Return what :func:`write_cells` wrote."""
    return {
        study: {run: Cell.model_validate_json(json.dumps(cell)) for run, cell in runs.items()}
        for study, runs in read_json(path).items()
    }


def write_cells(path: Path, studies: Mapping[str, Cells]) -> None:
    """Write the training runs of studies as JSON."""
    plain = {s: {run: cell.model_dump(mode="json") for run, cell in runs.items()} for s, runs in studies.items()}
    write_json(path, plain)


def kind(cell: Cell) -> str:
    """Return what the cost of a cell's step depends on, as text."""
    content = cell.model_dump(mode="json")
    for teacher in content["teachers"].values():
        del teacher["run"]
    for component in content["method"]["components"]:
        for name in FREE.get(component["name"], ()):
            del component["parameters"][name]
    content["recipe"] = {name: content["recipe"][name] for name in RECIPE}
    parts = ("architecture", "augmentation", "method", "teachers", "recipe")
    return json.dumps([content[part] for part in parts], sort_keys=True)


def title(cell: Cell) -> str:
    """Return how the table names a kind, by its first cell."""
    names = (cell.architecture.name, cell.augmentation.name, cell.method.name)
    return f"{', '.join(names)}, batch {cell.recipe.batch_size}"


def steps_of(cell: Cell) -> int:
    """Return how many steps an epoch of a cell has, of CIFAR's training images less those held out."""
    images = cell.recipe.train_images or TRAIN - VALIDATION
    return epoch_sizes(images, cell.recipe.batch_size, mixture_of(cell.method.parameters.values())).iterations


def noise(folder: Path, classes: int) -> Dataset:
    """Write a dataset of the size of CIFAR's training set, and extra images beside it."""
    generator = np.random.default_rng(0)
    folder.mkdir(parents=True)
    arrays: dict[str, np.ndarray] = {"validation": np.arange(VALIDATION, dtype=np.int64)}
    for split, count in (("train", TRAIN), ("test", classes)):
        arrays[f"{split}_images"] = generator.integers(0, 256, (count, SIDE, SIDE, 3), dtype=np.uint8)
        arrays[f"{split}_labels"] = np.arange(count, dtype=np.int64) % classes
    info: dict[str, Any] = {"name": "noise", "classes": [str(number) for number in range(classes)], "image_size": SIDE}
    info |= {"train": TRAIN, "test": classes, "validation": VALIDATION, "mean": [0.5] * 3, "std": [0.29] * 3}
    write_json(folder / "dataset.json", info | {"source": {}, "files": _saved(folder, arrays)})
    extra = folder_of(folder)
    extra.mkdir()
    few = {"images": arrays["train_images"][:EXTRA], "labels": arrays["train_labels"][:EXTRA]}
    source = {"file": "noise", "sha256": "0" * 64}
    write_json(
        extra / "extra.json", {"dataset": "noise", "images": EXTRA, "source": source, "files": _saved(extra, few)}
    )
    return load(folder)


def _saved(folder: Path, arrays: Mapping[str, np.ndarray]) -> dict[str, str]:
    sums = {}
    for name, array in arrays.items():
        np.save(folder / f"{name}.npy", array)
        sums[f"{name}.npy"] = sha256(folder / f"{name}.npy")
    return sums


def measure(cell: Cell, dataset: Dataset, device: torch.device, options: argparse.Namespace) -> dict[str, Any]:
    """Return the spread of seconds per step, and seconds of an epoch's validation."""
    teachers = {}
    for role, teacher in cell.teachers.items():
        generator = torch.Generator().manual_seed(0)
        head = Head(classes=len(dataset.classes), mean=dataset.mean, std=dataset.std, generator=generator)
        network = teacher.architecture
        built = models.build(network.parameters, head, dynamic=network.dynamic_parameters)
        teachers[role] = built.to(device, memory_format=torch.channels_last).eval().requires_grad_(False)
    if device.type == "cuda":
        torch.cuda.reset_peak_memory_stats(device)
    training = Training(cell, dataset, device=device, workers=options.workers, teachers=teachers)
    # The last epoch: perturbations of the weights that begin after a warm-up are there.
    last = cell.recipe.epochs - 1
    training.method.begin_epoch(last)
    training.network.train()
    calls = math.lcm(
        options.calls, *(p.interval for p in cell.method.parameters.values() if isinstance(p, EwsParameters))
    )
    batches = itertools.chain.from_iterable(training.batches(last) for _ in itertools.count())
    seconds = []
    for repeat in range(-1, options.repeats):
        wait(device)
        start = time.perf_counter()
        for batch in itertools.islice(batches, calls):
            training.method.gradients(batch)
            optim.step(training.optimizer, clip=cell.recipe.gradient_clip)
        wait(device)
        if repeat >= 0:
            seconds.append((time.perf_counter() - start) / calls)
    everything = len(training.validation)
    training.validation = training.validation[: options.validation]
    training.validate()
    start = time.perf_counter()
    training.validate()
    validation = (time.perf_counter() - start) * everything / max(1, len(training.validation))
    found = {"step": spread(seconds), "validation": validation, "images": cell.recipe.batch_size, "calls": calls}
    if device.type == "cuda":
        found["peak_memory"] = torch.cuda.max_memory_allocated(device)
    precision = "bfloat16" if bfloat16(cell.recipe.precision, device) else "float32"
    return {"title": title(cell), "precision": precision, **found}


def hours(cells: Cells, kinds: Mapping[str, Mapping[str, Any]]) -> float | None:
    """Return the hours of training runs one after the other; None where a kind has not been measured."""
    seconds = 0.0
    for cell in cells.values():
        found = kinds.get(kind(cell))
        if found is None:
            return None
        seconds += cell.recipe.epochs * (steps_of(cell) * found["step"]["median"] + found["validation"])
    return seconds / 3600


def markdown(result: Mapping[str, Any]) -> str:
    """Return the result as a page."""
    settings = result["settings"]
    lines = [
        "# Hours of training",
        "",
        "All different training runs of a study, its teachers among them, one after the other on this device; "
        "evaluations come on top. From the median step and the validation of each kind of training below.",
        "",
        machine_line(result["machine"]),
        "",
        "| study | training runs | epochs in all | hours |",
        "|---|---:|---:|---:|",
    ]
    for name, row in result["studies"].items():
        value = "" if row["hours"] is None else f"{row['hours']:,.1f}"
        lines.append(f"| `{name}` | {row['trainings']} | {row['epochs']:,} | {value} |")
    lines += [
        "",
        f"Step: median [quartiles] of {settings['repeats']} repetitions after one to warm up, as the training loop "
        f"takes it, {settings['workers']} workers. Validation: all {VALIDATION:,} images, timed on "
        f"{settings['validation']}.",
        "",
        "| kind | precision | step [ms] | images/s | validation [s] | peak memory [GiB] |",
        "|---|---|---:|---:|---:|---:|",
    ]
    for row in result["kinds"].values():
        step = row["step"]
        times = f"{step['median'] * 1e3:.1f} [{step['low'] * 1e3:.1f}, {step['high'] * 1e3:.1f}]"
        memory = f"{row['peak_memory'] / 2**30:.1f}" if "peak_memory" in row else ""
        rate = f"{row['images'] / step['median']:,.0f}"
        lines.append(f"| {row['title']} | {row['precision']} | {times} | {rate} | {row['validation']:.1f} | {memory} |")
    return "\n".join([*lines, ""])


def arguments() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--study", nargs="+", default=STUDIES, help="default: the paper's tables and figures")
    parser.add_argument("--params", type=Path, default=Path("params.yaml"))
    parser.add_argument("--cells", type=Path, help="their runs as --write-cells wrote them, instead of --params")
    parser.add_argument("--write-cells", type=Path, help="write the studies' training runs here, and measure nothing")
    parser.add_argument("--device", choices=("auto", "cpu", "cuda"), default="auto")
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--calls", type=int, default=10, help="steps in a repetition, or a multiple for K's sake")
    parser.add_argument("--validation", type=int, default=500, help="validation images that are timed")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--workers", type=int, default=0, help="processes that augment")
    parser.add_argument("--out", type=Path, default=Path("benchmarks/results"), help="folder to write")
    return parser.parse_args()


def main() -> None:
    """Measure, print and write."""
    options = arguments()
    studies = read_cells(options.cells) if options.cells else planned(options.params, options.study)
    if options.write_cells:
        write_cells(options.write_cells, studies)
        return
    name = options.device
    if name == "auto":
        name = "cuda" if torch.cuda.is_available() else "cpu"
    if name == "cuda" and not torch.cuda.is_available():
        raise EwsError("--device cuda: torch sees none here; valid: auto, cpu.")
    device = torch.device(name)
    prepare(device, options.threads)
    cells = {kind(cell): cell for runs in reversed(studies.values()) for cell in reversed(runs.values())}
    unknown = {cell.dataset for runs in studies.values() for cell in runs.values()} - set(CLASSES)
    if unknown:
        raise EwsError(f"--study: datasets {', '.join(sorted(unknown))}; this benchmark knows {', '.join(CLASSES)}.")
    kinds: dict[str, dict[str, Any]] = {}
    result: dict[str, Any] = {"machine": machine(device, options.threads), "kinds": kinds}
    result["settings"] = {key: getattr(options, key) for key in ("repeats", "calls", "validation", "workers")}
    with tempfile.TemporaryDirectory() as folder:
        made = {
            count: noise(Path(folder) / str(count), count) for count in {CLASSES[c.dataset] for c in cells.values()}
        }
        for number, (key, cell) in enumerate(reversed(cells.items()), 1):
            print(f"{number}/{len(cells)}: {title(cell)}", file=sys.stderr)
            kinds[key] = measure(cell, made[CLASSES[cell.dataset]], device, options)
            result["studies"] = {
                study: {
                    "trainings": len(runs),
                    "epochs": sum(c.recipe.epochs for c in runs.values()),
                    "hours": hours(runs, kinds),
                }
                for study, runs in studies.items()
            }
            write_json(options.out / f"hours.{device.type}.json", result)
            write_text(options.out / f"hours.{device.type}.md", markdown(result))
    print(markdown(result))


if __name__ == "__main__":
    finished(main)
