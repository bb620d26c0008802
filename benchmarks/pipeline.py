"""Images per second of the loader alone, of the training step alone, and of both together: who waits for whom?

    python benchmarks/pipeline.py --network resnet18 --batch 128 --workers 2 --out benchmarks/results
    python benchmarks/pipeline.py --network resnet18_thin --batch 16 --batches 4 --repeats 2 --out /tmp  # does it run?

For each augmentation and for vanilla and EWS steps (with the controller's updates as they fall due). `in loader` is the
share of the time of both together that the training loop spends in asking for the next batch; on a GPU, which works
meanwhile, what counts is `waiting`: the share that the step alone does not account for (negative where noise is larger
than it; what workers take from the step on shared processors is in it). The first batch of an epoch, for which workers
have to start, is timed by itself. Writes ``pipeline.DEVICE.json`` and ``.md``.
"""

import argparse
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from common import (
    CLASSES,
    NETWORKS,
    SIDE,
    Setting,
    build,
    context,
    machine,
    machine_line,
    method,
    optimiser,
    prepare,
    spread,
    step,
    wait,
)
from torch import Tensor

from ews import augment
from ews.augment.augmentation import Augment, Source
from ews.augment.augmentation_registry import AUGMENTATIONS
from ews.augment.augmentation_specs import Crop
from ews.core.console import finished
from ews.core.errors import EwsError
from ews.core.files import write_json, write_text
from ews.methods.component import Batch
from ews.methods.compose import Method

# CIFAR-10's of params.yaml, whose values are the augmentations' defaults.
CROP = Crop(padding=4, flip=True)
METHODS = ("vanilla", "ews")


def timed(
    batches: Iterator[Tensor], *, labels: Tensor, device: torch.device, trainer: Any = None
) -> tuple[float, float, float, int]:
    """Go through an epoch; return seconds to the first batch, from there to the end, of these in the iterator; batches.

    Args:
        batches: [V, B, 3, H, W] each.
        labels: [B].
        device: where to wait for the end.
        trainer: (method, optimiser), or None for the loader alone.
    """
    start = time.perf_counter()
    next(batches)
    wait(device)
    first = time.perf_counter()
    loading, count = 0.0, 0
    while True:
        asked = time.perf_counter()
        images = next(batches, None)
        loading += time.perf_counter() - asked
        if images is None:
            break
        count += 1
        if trainer is not None:
            step(*trainer, Batch(images=images, labels=labels, iteration=count, epoch=0))
    wait(device)
    return first - start, time.perf_counter() - first, loading, count


def measure(
    made: Augment, trained: Method, optimizer: torch.optim.Optimizer, options: argparse.Namespace, device: torch.device
) -> dict[str, Any]:
    """Return the spread over repetitions of images/s, of the share of waiting and of the seconds to the first batch."""
    size = options.batch
    labels = torch.randint(CLASSES, (size,), generator=torch.Generator().manual_seed(2)).to(device)
    order = np.arange(size * (options.batches + 1)) % options.images
    held = next(iter(made.loader(order[:size], epoch=0, batch_size=size)))
    names = ("loader", "step", "both", "in_loader", "waiting", "first")
    values: dict[str, list[float]] = {name: [] for name in names}
    for repeat in range(-1, options.repeats):

        def epoch(repeat: int = repeat) -> Iterator[Tensor]:
            return made.loader(order, epoch=repeat + 1, batch_size=size)

        _, alone, _, count = timed(epoch(), labels=labels, device=device)
        _, steps, _, _ = timed(iter([held] * (count + 1)), labels=labels, device=device, trainer=(trained, optimizer))
        first, both, loading, _ = timed(epoch(), labels=labels, device=device, trainer=(trained, optimizer))
        if repeat < 0:
            continue  # warm-up
        for name, seconds in (("loader", alone), ("step", steps), ("both", both)):
            values[name].append(count * size / seconds)
        values["in_loader"].append(loading / both)
        values["waiting"].append(1 - steps / both)
        values["first"].append(first)
    return {name: spread(numbers) for name, numbers in values.items()}


def markdown(result: dict[str, Any]) -> str:
    """Return the result as a page."""
    settings = result["settings"]
    lines = [
        "# Loader and step",
        "",
        f"{settings['network']}, batch {settings['batch']}, {result['mode']}, {settings['workers']} workers. Images/s "
        f"(AugMix: three views an image); median [quartiles] of {settings['repeats']} repetitions of "
        f"{settings['batches']} batches.",
        "",
        machine_line(result["machine"]),
        "",
        "| augmentation | method | loader | step | both | in loader | waiting | first batch [s] |",
        "|---|---|---:|---:|---:|---:|---:|---:|",
    ]
    for row in result["rows"]:
        cells = [_cell(row[name], ".0f") for name in ("loader", "step", "both")]
        cells += [_cell(row["in_loader"], ".1%"), _cell(row["waiting"], ".1%"), f"{row['first']['median']:.2f}"]
        lines.append(f"| {row['augmentation']} | {row['method']} | {' | '.join(cells)} |")
    return "\n".join([*lines, ""])


def _cell(value: dict[str, float], form: str) -> str:
    return f"{value['median']:{form}} [{value['low']:{form}}, {value['high']:{form}}]"


def arguments() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--network", choices=NETWORKS, default="resnet50")
    parser.add_argument("--batch", type=int, default=128)
    parser.add_argument("--batches", type=int, default=30, help="per repetition, after the first")
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--augmentation", nargs="+", choices=AUGMENTATIONS, default=list(AUGMENTATIONS))
    parser.add_argument("--workers", type=int, default=0, help="that augment; 0, as on a CPU: in the process")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--images", type=int, default=50_000, help="in the training set")
    parser.add_argument("--data", type=Path, help="a train_images.npy to read; default: noise")
    parser.add_argument("--device", choices=("auto", "cpu", "cuda"), default="auto")
    parser.add_argument("--compile", action="store_true", help="torch.compile the network")
    parser.add_argument("--out", type=Path, required=True, help="folder to write")
    return parser.parse_args()


def main() -> None:
    """Measure, print and write."""
    options = arguments()
    name = options.device
    if name == "auto":
        name = "cuda" if torch.cuda.is_available() else "cpu"
    if name == "cuda" and not torch.cuda.is_available():
        raise EwsError("--device cuda: torch sees none here; valid: auto, cpu.")
    device = torch.device(name)
    prepare(device, options.threads)
    if options.data is None:
        shape = (options.images, SIDE, SIDE, 3)
        images = np.random.default_rng(0).integers(0, 256, size=shape, dtype=np.uint8)
    else:
        images = np.load(options.data, mmap_mode="r", allow_pickle=False)
        options.images = len(images)
    setting = Setting(device=device, bfloat16=name == "cuda", compiled=options.compile)
    rows: list[dict[str, Any]] = []
    result: dict[str, Any] = {"machine": machine(device, options.threads), "mode": setting.mode, "rows": rows}
    result["settings"] = {key: str(value) if isinstance(value, Path) else value for key, value in vars(options).items()}
    del result["settings"]["out"]
    for augmentation in options.augmentation:
        source = Source(images=images, seed=0, device=device, workers=options.workers)
        made = augment.build(AUGMENTATIONS[augmentation].parameters(), source, CROP)
        for kind in METHODS:
            network = build(options.network, setting)
            where = replace(context(network, setting), augmentation_loss=made.loss)
            row = measure(made, method(where, kind), optimiser(network), options, device)
            rows.append({"augmentation": augmentation, "method": kind, **row})
    write_json(options.out / f"pipeline.{device.type}.json", result)
    text = markdown(result)
    write_text(options.out / f"pipeline.{device.type}.md", text)
    print(text)


if __name__ == "__main__":
    finished(main)
