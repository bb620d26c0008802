"""Time training steps of DAMP, SAM and ASAM beside vanilla ones, in one process, interleaved.

    python benchmarks/methods.py --out benchmarks/results                                   # this machine
    python benchmarks/methods.py --network resnet18 --batch 128 --device cuda --out DIR     # the paper's

DAMP in each form in which its layers can be computed, to see which is fastest: part after part, vmapped, or grouped.
Its arithmetic is that of a vanilla step, in M passes of B / M images, plus M normal numbers for each weight; ``noise``
draws these alone. SAM's and ASAM's is twice a vanilla step. Writes ``methods.DEVICE.json`` and ``.md``: seconds of
every step, ratios within repetitions with median and quartiles, and the bound from counted operations.
"""

import argparse
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import torch
from common import (
    COMPONENTS,
    NETWORKS,
    Setting,
    build,
    changed,
    context,
    images,
    interleave,
    machine,
    machine_line,
    optimiser,
    prepare,
    spread,
    step,
)
from torch.utils.flop_counter import FlopCounterMode

from ews.core.console import finished
from ews.core.errors import EwsError
from ews.core.files import write_json, write_text
from ews.methods.component import Context
from ews.methods.compose import Method, compose
from ews.methods.damp.damp_spec import DampParameters
from ews.methods.parts import kernels_and_scales
from ews.methods.weight_noise import FORMS, normal_like

# title -> component, changes of its parameters; what is to be reached on CUDA.
STEPS: dict[str, tuple[str | None, dict[str, Any]]] = {
    "vanilla": (None, {}),
    **{f"DAMP, {form}": ("damp", {"form": form}) for form in FORMS},
    "SAM, whole batch": ("sam", {"sub_batches": 1}),
    "SAM, 8 parts": ("sam", {"sub_batches": 8, "statistics": "part"}),
    "SAM, 8 parts that share statistics": ("sam", {"sub_batches": 8, "statistics": "batch"}),
    "ASAM, whole batch": ("asam", {"sub_batches": 1}),
    "ASAM, 8 parts": ("asam", {"sub_batches": 8, "statistics": "part"}),
    "ASAM, 8 parts that share statistics": ("asam", {"sub_batches": 8, "statistics": "batch"}),
}
NOISE = "noise of DAMP alone"
TARGET = 1.15


def composed(where: Context, title: str) -> Method:
    """Return the method of a step, at the start of an epoch."""
    name, changes = STEPS[title]
    made = compose([] if name is None else [changed(COMPONENTS[name], changes)], where)
    made.begin_epoch(0)
    return made


def operations(network: str) -> dict[str, int]:
    """Return the counted operations of each step, for 16 images; all forms of DAMP have those of the sequential one.

    torch counts a grouped convolution's gradient of the weights as if it had one group.
    """
    setting = Setting(device=torch.device("cpu"), bfloat16=False, compiled=False)
    where = context(build(network, setting), setting)
    batch = images(16, setting.device)
    counts = {}
    for title, (_, changes) in STEPS.items():
        made = composed(where, title if changes.get("form") is None else f"DAMP, {FORMS[0]}")
        with FlopCounterMode(display=False) as counter:
            made.gradients(batch)
        counts[title] = int(counter.get_total_flops())
        where.network.zero_grad(set_to_none=True)
    return counts


def measure(name: str, setting: Setting, options: argparse.Namespace) -> dict[str, Any]:
    """Return seconds, ratios and bounds of one network."""
    device = setting.device
    size = options.batch or NETWORKS[name][1]
    if size < 2 * DampParameters().sub_batches:
        raise EwsError(f"--batch {size}: {name} needs at least 16 images, two for each of 8 parts.")
    network = build(name, setting)
    optimizer = optimiser(network)
    where = context(network, setting)
    batch = images(size, device)
    tasks: dict[str, Callable[[], object]] = {}
    for title in STEPS:
        made = composed(where, title)
        tasks[title] = lambda made=made: step(made, optimizer, batch)  # type: ignore[misc]
    weights = kernels_and_scales(network)
    generator = torch.Generator(device=device).manual_seed(0)
    draws = DampParameters().sub_batches
    tasks[NOISE] = lambda: [normal_like(weight, draws, generator) for weight in weights]
    wall, processor = interleave(
        tasks, repeats=options.repeats, calls=options.calls, warmup=options.warmup, device=device
    )
    clocks = {"wall": wall} if device.type == "cuda" else {"wall": wall, "processor": processor}
    counts = operations(name)
    return {
        "network": name,
        "mode": setting.mode,
        "batch": size,
        "normal_numbers": draws * sum(weight.numel() for weight in weights),
        "seconds": {clock: {task: spread(values) for task, values in times.items()} for clock, times in clocks.items()},
        "ratios": {
            clock: {
                title: spread([value / one for value, one in zip(values, times["vanilla"], strict=True)])
                for title, values in times.items()
                if title != "vanilla"
            }
            for clock, times in clocks.items()
        },
        "bounds": {title: count / counts["vanilla"] for title, count in counts.items() if title != "vanilla"},
    }


def markdown(result: Mapping[str, Any]) -> str:
    """Return the result as a page."""
    settings = result["settings"]
    lines = [
        "# Cost of steps of DAMP, SAM and ASAM",
        "",
        f"Median [quartiles] of {settings['repeats']} repetitions, in each of which every kind of step runs; ratios to "
        "a vanilla step are formed within a repetition. `bound`: from counted operations alone; DAMP's M passes of "
        "B / M images have a vanilla step's, and its noise is none of the operations counted.",
        "",
        machine_line(result["machine"]),
    ]
    for row in result["measurements"]:
        clocks = list(row["seconds"])
        titles = " | ".join(f"{clock} / vanilla" for clock in clocks)
        lines += [
            "",
            f"## {row['network']}, {row['mode']}, batch {row['batch']}",
            "",
            f"{row['normal_numbers']:,} normal numbers a step.",
            "",
            f"| step | {' | '.join(f'{clock} ms' for clock in clocks)} | bound | {titles} |",
            "|---|" + "---:|" * (2 * len(clocks) + 1),
        ]
        for title in row["seconds"]["wall"]:
            times = " | ".join(_text(row["seconds"][clock][title], 1, 1000) for clock in clocks)
            bound = f"{row['bounds'][title]:.2f}" if title in row["bounds"] else ""
            found = " | ".join(
                _text(row["ratios"][clock][title], 2) if title in row["ratios"][clock] else "" for clock in clocks
            )
            lines.append(f"| {title} | {times} | {bound} | {found} |")
        fastest = min(FORMS, key=lambda form: row["ratios"][clocks[-1]][f"DAMP, {form}"]["median"])
        reached = row["ratios"][clocks[-1]][f"DAMP, {fastest}"]["median"]
        target = f" On CUDA at most {TARGET} is to be reached." if "cuda" in row["mode"] else ""
        lines += ["", f"DAMP is fastest {fastest}: {reached:.2f} times a vanilla step.{target}"]
    return "\n".join([*lines, ""])


def _text(value: Mapping[str, float], digits: int, unit: float = 1) -> str:
    median, low, high = (f"{value[key] * unit:.{digits}f}" for key in ("median", "low", "high"))
    return f"{median} [{low}, {high}]"


def arguments() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--network", nargs="+", choices=NETWORKS, default=["wrn10_1", "resnet18"])
    parser.add_argument("--batch", type=int, default=128, help="images, at least 16")
    parser.add_argument("--device", choices=("cpu", "cuda"), default="cpu")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--repeats", type=int, default=9)
    parser.add_argument("--calls", type=int, default=1, help="steps per repetition; 20 on CUDA")
    parser.add_argument("--warmup", type=int, default=1)
    parser.add_argument("--out", type=Path, required=True, help="folder to write")
    return parser.parse_args()


def main() -> None:
    """Measure, print and write."""
    options = arguments()
    if options.device == "cuda" and not torch.cuda.is_available():
        raise EwsError("--device cuda: torch sees none here; valid: cpu.")
    cuda = options.device == "cuda"
    setting = Setting(device=torch.device(options.device), bfloat16=cuda, compiled=False)
    prepare(setting.device, options.threads)
    result: dict[str, Any] = {"machine": machine(setting.device, options.threads), "measurements": []}
    result["settings"] = {key: value for key, value in vars(options).items() if key != "out"}
    for name in options.network:
        print(f"{name}, {setting.mode}", file=sys.stderr)
        result["measurements"].append(measure(name, setting, options))
        # After each network: what is measured remains if a later one is interrupted.
        write_json(options.out / f"methods.{options.device}.json", result)
        write_text(options.out / f"methods.{options.device}.md", markdown(result))
    print(markdown(result))


if __name__ == "__main__":
    finished(main)
