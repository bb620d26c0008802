"""Time training steps of AT and TRADES with and without EWS and AWP, in one process, interleaved.

    python benchmarks/at_step.py --out benchmarks/results                             # thin networks, this machine
    python benchmarks/at_step.py --network preact_resnet18 --device cuda --out DIR    # the paper's

Writes ``at_step.DEVICE.json`` and ``.md``: seconds of every step first - a ratio that is small because its baseline is
slow says nothing - then ratios, formed within repetitions, of which the median and the quartiles are given. Bounds are
from counted operations of the very steps, attacks included, whose gradients are with respect to the images alone. The
controller's share is that of an update, amortised over K iterations, and of a sample.
"""

import argparse
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from common import (
    EWS,
    NETWORKS,
    Setting,
    build,
    context,
    images,
    interleave,
    machine,
    machine_line,
    method,
    optimiser,
    prepare,
    spread,
    step,
)
from torch.utils.flop_counter import FlopCounterMode

from ews.core.console import finished
from ews.core.errors import EwsError
from ews.core.files import write_json, write_text
from ews.methods.ews.ews import Ews

STEPS = ("vanilla", "at", "at+ews", "at+awp", "trades", "trades+ews", "trades+awp")
# title -> step, its baseline, what is to be reached.
RATIOS: dict[str, tuple[str, str, float | None]] = {
    "AT + EWS / AT": ("at+ews", "at", 1.17),
    "TRADES + EWS / TRADES": ("trades+ews", "trades", 1.27),
    "AT + AWP / AT": ("at+awp", "at", None),
    "TRADES + AWP / TRADES": ("trades+awp", "trades", None),
    "AT / vanilla": ("at", "vanilla", None),
    "TRADES / vanilla": ("trades", "vanilla", None),
}
SMALL = {
    "controller update, C = 1, amortised at K = 10 / AT": "update",
    "controller sample / AT": "sample",
}


def operations(name: str, width: float) -> dict[str, int]:
    """Return the counted operations of each step and of a reward pass, for two images."""
    setting = Setting(device=torch.device("cpu"), bfloat16=False, compiled=False)
    where = context(build(name, setting), setting)
    batch = images(2, setting.device)
    counts = {}
    for kind in STEPS:
        made = method(where, kind, width=width)
        with FlopCounterMode(display=False) as counter:
            made.gradients(batch)
        counts[kind] = int(counter.get_total_flops())
        where.network.zero_grad(set_to_none=True)
    subnet = _ews(method(where, "ews", width=width)).search.sample(torch.Generator().manual_seed(0))
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        where.logits(batch.images[0], subnet)
    return {**counts, "reward": int(counter.get_total_flops())}


def measure(name: str, setting: Setting, options: argparse.Namespace) -> dict[str, Any]:
    """Return seconds, ratios and bounds of one network."""
    device = setting.device
    size = options.batch or NETWORKS[name][1]
    network = build(name, setting)
    optimizer = optimiser(network)
    where = context(network, setting)
    batch, updating = images(size, device), images(size, device, iteration=EWS.interval)
    methods = {kind: method(where, kind, width=options.width) for kind in STEPS}
    extra, objective = _ews(methods["at+ews"]), methods["at+ews"].objective
    ready, due = objective.prepare(batch), objective.prepare(updating)
    tasks: dict[str, Any] = {kind: (lambda made=made: step(made, optimizer, batch)) for kind, made in methods.items()}
    # Both begin an iteration as training does: an update where it is due, then one sample.
    tasks["sample"] = lambda: extra.begin(ready, objective)
    tasks["update_and_sample"] = lambda: extra.begin(due, objective)
    wall, processor = interleave(tasks, repeats=options.repeats, calls=1, warmup=options.warmup, device=device)
    clocks = {"wall": wall} if device.type == "cuda" else {"wall": wall, "processor": processor}
    counts = operations(name, options.width)
    bounds = {title: counts[kind] / counts[base] for title, (kind, base, _) in RATIOS.items()}
    bounds |= {"update": counts["reward"] / counts["at"] / EWS.interval, "sample": 0.0}
    return {
        "network": name,
        "mode": setting.mode,
        "batch": size,
        "seconds": {clock: {task: spread(values) for task, values in times.items()} for clock, times in clocks.items()},
        "ratios": {clock: _ratios(times) for clock, times in clocks.items()},
        "bounds": bounds,
    }


def _ratios(times: Mapping[str, list[float]]) -> dict[str, dict[str, float]]:
    def of(values: list[float], base: str) -> dict[str, float]:
        return spread([value / one for value, one in zip(values, times[base], strict=True)])

    both = zip(times["update_and_sample"], times["sample"], strict=True)
    updates = [(update - sample) / EWS.interval for update, sample in both]
    ratios = {title: of(times[kind], base) for title, (kind, base, _) in RATIOS.items()}
    return {**ratios, "update": of(updates, "at"), "sample": of(times["sample"], "at")}


def _ews(made: Any) -> Ews:
    (extra,) = made.extras
    assert isinstance(extra, Ews)
    return extra


def markdown(result: Mapping[str, Any]) -> str:
    """Return the result as a page."""
    settings = result["settings"]
    lines = [
        "# Cost of adversarial training steps",
        "",
        f"Subnet width {settings['width']}; attacks of 10 steps. Median [quartiles] of {settings['repeats']} "
        "repetitions, in each of which every kind of step runs once; ratios are formed within a repetition. `bound`: "
        "from counted operations alone.",
        "",
        machine_line(result["machine"]),
    ]
    for row in result["measurements"]:
        clocks = list(row["seconds"])
        lines += ["", f"## {row['network']}, batch {row['batch']}, {row['mode']}", ""]
        lines += [
            f"| step | {' | '.join(f'{clock} [ms]' for clock in clocks)} | images/s |",
            "|---|---:" + "|---:" * len(clocks) + "|",
        ]
        for kind in STEPS:
            times = " | ".join(_text(row["seconds"][clock][kind], 1, 1000) for clock in clocks)
            rate = row["batch"] / row["seconds"]["wall"][kind]["median"]
            lines.append(f"| {kind} | {times} | {rate:.1f} |")
        lines += [
            "",
            f"| ratio | bound | {' | '.join(clocks)} | to reach |",
            "|---|---:" + "|---:" * len(clocks) + "|---:|",
        ]
        for title, (_, _, target) in RATIOS.items():
            found = " | ".join(_text(row["ratios"][clock][title], 2) for clock in clocks)
            lines.append(f"| {title} | {row['bounds'][title]:.2f} | {found} | {f'<= {target}' if target else ''} |")
        for title, key in SMALL.items():
            found = " | ".join(_text(row["ratios"][clock][key], 4) for clock in clocks)
            lines.append(f"| {title} | {row['bounds'][key]:.4f} | {found} | |")
    return "\n".join([*lines, ""])


def _text(value: Mapping[str, float], digits: int, unit: float = 1) -> str:
    median, low, high = (f"{value[key] * unit:.{digits}f}" for key in ("median", "low", "high"))
    return f"{median} [{low}, {high}]"


def arguments() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--network", nargs="+", choices=NETWORKS, default=["preact_resnet18_thin", "wrn10_1"])
    parser.add_argument("--batch", type=int, help="images; default: the network's")
    parser.add_argument("--width", type=float, default=0.9, help="rho")
    parser.add_argument("--device", choices=("cpu", "cuda"), default="cpu")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--repeats", type=int, default=9)
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
        write_json(options.out / f"at_step.{options.device}.json", result)
        write_text(options.out / f"at_step.{options.device}.md", markdown(result))
    print(markdown(result))


if __name__ == "__main__":
    finished(main)
