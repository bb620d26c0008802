"""Time a training step of EWS beside a vanilla one and a straightforward masked one, in one process, interleaved.

    python benchmarks/ews_step.py --out benchmarks/results                       # ResNet-18 and -50, this machine
    python benchmarks/ews_step.py --network resnet18_thin --repeats 3 --out /tmp # does it run?

Writes ``ews_step.DEVICE.json`` and ``.md``. Every repetition runs every kind of step once (``--calls`` times on CUDA),
so that whatever else the machine does strikes all alike; ratios are formed within repetitions, of which the median and
the quartiles are given. Memory is measured in processes of its own. On CUDA: bfloat16 autocast, with and without
``torch.compile``. The arithmetic bound is from counted operations (multiplications and additions of convolutions and
matrix products) at the numbers of channels that are really kept.
"""

import argparse
import copy
import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from common import (
    EWS,
    NETWORKS,
    Setting,
    build,
    context,
    images,
    interleave,
    machine,
    matrix_peak,
    method,
    optimiser,
    prepare,
    spread,
    step,
)
from masked import Masked
from step_report import markdown
from torch.autograd import DeviceType
from torch.profiler import ProfilerActivity, profile
from torch.utils.flop_counter import FlopCounterMode

from ews.core.console import finished
from ews.core.errors import EwsError
from ews.core.files import write_json, write_text
from ews.methods.component import Context
from ews.methods.ews.ews import Ews
from ews.models.network import Network
from ews.models.subnet import Subnet
from ews.pipeline.train import optim
from ews.subnets.search import build as build_search

MEMORY = ("vanilla", "ews", "masked")
PART = 0.5
PROFILES = 3
# Operations by kind, by what their name contains; the first that fits.
KINDS = {
    "convolution": ("conv",),
    "normalisation": ("batch_norm", "batchnorm"),
    "slicing": ("index", "scatter", "gather", "slice"),
    "copies": ("copy", "clone", "contiguous"),
}


def random_subnet(network: Network, device: torch.device, width: float) -> Subnet:
    """Return a subnet drawn uniformly."""
    search = build_search("random", network, EWS.model_copy(update={"width": width}), device=device)
    return search.sample(torch.Generator(device=device).manual_seed(0))


def bounds(name: str, width: float) -> dict[str, float]:
    """Return what the counted operations alone allow, as ratios to a vanilla step."""
    setting = Setting(device=torch.device("cpu"), bfloat16=False, compiled=False)
    network = build(name, setting)
    subnet = random_subnet(network, setting.device, width)
    pixels = images(2, setting.device).images[0]

    def count(subnet: Subnet | None, *, backward: bool) -> int:
        with FlopCounterMode(display=False) as counter, torch.set_grad_enabled(backward):
            total = network(pixels, subnet).sum()
            if backward:
                total.backward()
        return int(counter.get_total_flops())

    full, weak = count(None, backward=True), count(subnet, backward=True)
    reward = count(subnet, backward=False)
    return {
        "ews": 1 + weak / full,
        "ews_part": 1 + PART * weak / full,
        "masked": 2.0,
        "against_masked": 2 / (1 + weak / full),
        "added": full / weak,
        "sample": 0.0,
        "update": reward / full / EWS.interval,
        "gigaflop_per_image": full / 2 / 1e9,
    }


def time_steps(name: str, setting: Setting, options: argparse.Namespace) -> dict[str, Any]:
    """Return seconds and ratios of all kinds of step and of the controller's work."""
    device, width = setting.device, options.width
    size = options.batch or NETWORKS[name][1]
    batch, updating = images(size, device), images(size, device, iteration=EWS.interval)
    network = build(name, setting)
    optimizer = optimiser(network)
    where = context(network, setting)
    vanilla = method(where, "vanilla")
    ews = method(where, "ews", width=width)
    part = method(where, "ews", width=width, batch_fraction=PART)
    other = Setting(device=device, bfloat16=setting.bfloat16, compiled=setting.compiled, channels_last=False)
    plain = context(build(name, other), other)
    plain_optimizer = optimiser(plain.network)
    extra = ews.extras[0]
    assert isinstance(extra, Ews)
    generator = torch.Generator(device=device).manual_seed(0)

    def masked(where: Context, optimizer: torch.optim.Optimizer) -> Callable[[], None]:
        made = Masked(where, weight=EWS.weight, reduction=EWS.reduction, compiled=setting.compiled)

        def run_step() -> None:
            made.gradients(batch, extra.search.sample(generator))
            optim.step(optimizer, clip=3.0)

        return run_step

    tasks: dict[str, Callable[[], object]] = {
        "vanilla": lambda: step(vanilla, optimizer, batch),
        "ews": lambda: step(ews, optimizer, batch),
        "ews_part": lambda: step(part, optimizer, batch),
        "masked": masked(where, optimizer),
        "masked_nchw": masked(plain, plain_optimizer),
        # Both begin an iteration as training does: an update where it is due, then one sample.
        "sample": lambda: extra.begin(batch, ews.objective),
        "update_and_sample": lambda: extra.begin(updating, ews.objective),
    }
    calls = options.calls if device.type == "cuda" else 1
    wall, processor = interleave(tasks, repeats=options.repeats, calls=calls, warmup=options.warmup, device=device)
    clocks = {"wall": wall} if device.type == "cuda" else {"wall": wall, "processor": processor}
    return {
        "batch": size,
        "seconds": {clock: {task: spread(values) for task, values in times.items()} for clock, times in clocks.items()},
        "ratios": {clock: ratios(times) for clock, times in clocks.items()},
        "kinds": kinds(network, where, batch.images[0], random_subnet(network, device, width), device),
    }


def ratios(times: dict[str, list[float]]) -> dict[str, dict[str, float]]:
    """Return the rows of the table, each the spread of ratios within repetitions."""
    vanilla, ews = times["vanilla"], times["ews"]

    def of(values: list[float], base: list[float]) -> dict[str, float]:
        return spread([value / one for value, one in zip(values, base, strict=True)])

    both = zip(times["update_and_sample"], times["sample"], strict=True)
    return {
        "ews": of(ews, vanilla),
        "ews_part": of(times["ews_part"], vanilla),
        "masked": of(times["masked"], vanilla),
        "masked_nchw": of(times["masked_nchw"], vanilla),
        "against_masked": of(times["masked"], ews),
        "against_masked_nchw": of(times["masked_nchw"], ews),
        "added": of(
            [one - base for one, base in zip(times["masked"], vanilla, strict=True)],
            [one - base for one, base in zip(ews, vanilla, strict=True)],
        ),
        "sample": of(times["sample"], vanilla),
        "update": of([(update - sample) / EWS.interval for update, sample in both], vanilla),
    }


def kinds(
    network: Network, where: Context, pixels: torch.Tensor, subnet: Subnet, device: torch.device
) -> dict[str, dict[str, float]]:
    """Return seconds by kind of operation, of one full pass and of one subnet pass, both with backward.

    Of a few alternating runs, that with the least total.
    """
    found: dict[str, dict[str, float]] = {}
    cuda = device.type == "cuda"
    activities = [ProfilerActivity.CPU] + ([ProfilerActivity.CUDA] if cuda else [])
    for _ in range(PROFILES):
        for name, chosen in (("full", None), ("subnet", subnet)):
            with profile(activities=activities) as profiler:
                F.cross_entropy(where.logits(pixels, chosen), torch.zeros_like(pixels[:, 0, 0, 0]).long()).backward()
            network.zero_grad(set_to_none=True)
            sums = dict.fromkeys([*KINDS, "rest"], 0.0)
            for event in profiler.key_averages():
                # Kernels of a GPU are also listed by themselves; each operation holds the time of its own.
                if event.device_type != DeviceType.CPU:
                    continue
                seconds = (event.self_device_time_total if cuda else event.self_cpu_time_total) / 1e6
                sums[_kind(event.key.lower())] += seconds
            if name not in found or sum(sums.values()) < sum(found[name].values()):
                found[name] = sums
    return found


def _kind(operation: str) -> str:
    return next((kind for kind, parts in KINDS.items() if any(part in operation for part in parts)), "rest")


def measure_memory(kind: str, name: str, setting: Setting, options: argparse.Namespace) -> int:
    """Return the peak of this process's memory over a few steps, an update among them, less that of the imports."""
    device = setting.device
    before = memory_of_process("VmRSS")
    network = build(name, setting)
    optimizer = optimiser(network)
    where = context(network, setting)
    size = options.batch or NETWORKS[name][1]
    composed = method(where, "ews", width=options.width) if kind == "ews" else method(where, "vanilla")
    masked = Masked(where, weight=EWS.weight, reduction=EWS.reduction, compiled=setting.compiled)
    subnet = random_subnet(network, device, options.width)

    def steps() -> None:
        for iteration in range(EWS.interval - 1, EWS.interval + 3):
            batch = images(size, device, iteration=iteration)
            if kind == "masked":
                masked.gradients(batch, subnet)
                optim.step(optimizer, clip=3.0)
            else:
                step(composed, optimizer, batch)

    steps()
    if device.type == "cuda":
        # The first steps hold what cuDNN tries its kernels in.
        torch.cuda.synchronize(device)
        torch.cuda.reset_peak_memory_stats(device)
        steps()
        return int(torch.cuda.max_memory_allocated(device))
    return memory_of_process("VmHWM") - before


def memory_of_process(what: str) -> int:
    """Return what this process holds (``VmRSS``) or has held at most (``VmHWM``), in bytes.

    The peak is not from getrusage: that one begins with what the parent process held.
    """
    try:
        lines = Path("/proc/self/status").read_text(encoding="utf-8").splitlines()
    except OSError:
        raise EwsError("memory: this benchmark reads /proc, which Linux has; use --memory-repeats 0.") from None
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith(what))


def memory(name: str, setting: Setting, options: argparse.Namespace) -> dict[str, Any]:
    """Return peak bytes by kind of step, and the ratios to vanilla, from a process for each measurement."""
    found: dict[str, list[float]] = {kind: [] for kind in MEMORY}
    for _ in range(options.memory_repeats):
        for kind in MEMORY:
            command = [sys.executable, __file__, "--network", name, "--memory", kind, "--device", setting.device.type]
            command += ["--precision", "bfloat16" if setting.bfloat16 else "float32", "--width", str(options.width)]
            command += ["--threads", str(options.threads), "--modes", "compile" if setting.compiled else "eager"]
            command += ["--batch", str(options.batch)] if options.batch else []
            output = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout
            found[kind].append(json.loads(output.splitlines()[-1]))
    shares = {
        kind: spread([one / base for one, base in zip(values, found["vanilla"], strict=True)])
        for kind, values in found.items()
    }
    return {"bytes": {kind: spread(values) for kind, values in found.items()}, "ratios": shares}


def settings(options: argparse.Namespace) -> list[Setting]:
    """Return the settings to measure."""
    name = options.device
    if name == "auto":
        name = "cuda" if torch.cuda.is_available() else "cpu"
    if name == "cuda" and not torch.cuda.is_available():
        raise EwsError("--device cuda: torch sees none here; valid: auto, cpu.")
    half = options.precision == "bfloat16" or (options.precision == "auto" and name == "cuda")
    modes = options.modes or (["eager", "compile"] if name == "cuda" else ["eager"])
    return [Setting(device=torch.device(name), bfloat16=half, compiled=mode == "compile") for mode in modes]


def arguments() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--network", nargs="+", choices=NETWORKS, default=["resnet18", "resnet50"])
    parser.add_argument("--batch", type=int, help="images; default: 32 for ResNet-18, 16 for ResNet-50")
    parser.add_argument("--width", type=float, default=EWS.width, help="rho")
    parser.add_argument("--device", choices=("auto", "cpu", "cuda"), default="auto")
    parser.add_argument("--precision", choices=("auto", "float32", "bfloat16"), default="auto")
    parser.add_argument("--modes", nargs="+", choices=("eager", "compile"), help="default: both on CUDA, else eager")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--repeats", type=int, default=15)
    parser.add_argument("--warmup", type=int, default=2)
    parser.add_argument("--calls", type=int, default=20, help="steps per repetition on CUDA")
    parser.add_argument("--memory-repeats", type=int, default=3, help="0: leave memory out")
    parser.add_argument("--memory", choices=MEMORY, help=argparse.SUPPRESS)
    parser.add_argument("--out", type=Path, help="folder to write")
    return parser.parse_args()


def main() -> None:
    """Measure, print and write."""
    options = arguments()
    chosen = settings(options)
    device = chosen[0].device
    prepare(device, options.threads)
    if options.memory:
        print(measure_memory(options.memory, options.network[0], chosen[0], options))
        return
    if options.out is None:
        raise EwsError("--out: a folder is needed.")
    result: dict[str, Any] = {"machine": machine(device, options.threads), "measurements": []}
    result["settings"] = {key: value for key, value in copy.copy(vars(options)).items() if key not in ("out", "memory")}
    for name in options.network:
        bound = bounds(name, options.width)
        for setting in chosen:
            print(f"{name}, {setting.mode}", file=sys.stderr)
            row = {"network": name, "mode": setting.mode, "bounds": bound, **time_steps(name, setting, options)}
            row["matrix_peak"] = matrix_peak(device, bfloat16=setting.bfloat16)
            row["memory"] = memory(name, setting, options) if options.memory_repeats else None
            result["measurements"].append(row)
            # After each: what is measured remains if a later one is interrupted.
            write_json(options.out / f"ews_step.{device.type}.json", result)
            write_text(options.out / f"ews_step.{device.type}.md", markdown(result))
    print(markdown(result))


if __name__ == "__main__":
    finished(main)
