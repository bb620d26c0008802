"""What the benchmarks of training steps share: networks, methods, batches, clocks and the machine's description.

Needs torch, numpy and pydantic beside the package, and no part of the workflow.
"""

import importlib.metadata
import os
import platform
import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import torch
from torch import Tensor

from ews import models
from ews.core.device import search_kernels
from ews.methods.awp.awp_spec import AwpParameters
from ews.methods.component import Batch, Context
from ews.methods.compose import Method, compose
from ews.methods.ews.ews_spec import EwsParameters
from ews.methods.method_registry import METHODS
from ews.methods.method_specs import MethodParameters
from ews.models.architecture_specs import ArchitectureParameters
from ews.models.cifar_resnet.cifar_resnet_spec import CifarResNetParameters
from ews.models.network import Head, Network
from ews.models.preact_resnet.preact_resnet_spec import PreActResNetParameters
from ews.models.resnet.resnet_spec import ResNetParameters
from ews.models.wide_resnet.wide_resnet_spec import WideResNetParameters
from ews.pipeline.train import optim

P = TypeVar("P", bound=MethodParameters)

# name -> architecture, images per batch.
NETWORKS: dict[str, tuple[ArchitectureParameters, int]] = {
    "resnet18": (ResNetParameters(depth=18, width=64), 32),
    "resnet50": (ResNetParameters(depth=50, width=64), 16),
    "resnet18_thin": (ResNetParameters(depth=18, width=8), 8),
    "resnet50_thin": (ResNetParameters(depth=50, width=8), 8),
    "preact_resnet18": (PreActResNetParameters(depth=18, width=64), 16),
    "preact_resnet18_thin": (PreActResNetParameters(depth=18, width=8), 16),
    "wrn34_10": (WideResNetParameters(depth=34, widen=10), 16),
    "wrn10_1": (WideResNetParameters(depth=10, widen=1), 32),
    "resnet8_thin": (CifarResNetParameters(depth=8, width=8), 32),
    "resnet20_thin": (CifarResNetParameters(depth=20, width=8), 32),
}
# The defaults are the values of params.yaml.
EWS = EwsParameters()
COMPONENTS: dict[str, MethodParameters] = {
    **{name: METHODS[name].parameters() for name in ("at", "trades", "damp", "sam", "asam")},
    # After the warm-up, whose length the cost of a step does not depend on; and whatever the objective's radius is.
    "awp": AwpParameters(gamma=0.01, warmup_epochs=0),
    "ews": EWS,
}
# The rate is small so that weights stay where they are; the cost of a step does not depend on it.
RECIPE = {"lr": 1.0e-4, "momentum": 0.9, "nesterov": True, "weight_decay": 1.0e-4}
CLIP = 3.0
SIDE, CLASSES = 32, 10


@dataclass(frozen=True, kw_only=True)
class Setting:
    """How networks compute: device, bfloat16 autocast, ``torch.compile``, and NHWC or NCHW memory."""

    device: torch.device
    bfloat16: bool
    compiled: bool
    channels_last: bool = True

    @property
    def mode(self) -> str:
        """Return e.g. ``cuda, bfloat16, compiled``."""
        precision = "bfloat16" if self.bfloat16 else "float32"
        return f"{self.device.type}, {precision}, {'compiled' if self.compiled else 'eager'}"


def prepare(device: torch.device, threads: int) -> None:
    """Set torch up as a training run does (:mod:`ews.core.device`)."""
    torch.set_num_threads(threads)
    if device.type == "cuda":
        search_kernels(True)
        return
    torch.set_deterministic_debug_mode("error")
    torch.utils.deterministic.fill_uninitialized_memory = False  # type: ignore[attr-defined]


def build(name: str, setting: Setting) -> Network:
    """Return a network in training mode, with the same weights on every call."""
    generator = torch.Generator().manual_seed(0)
    head = Head(classes=CLASSES, mean=[0.5] * 3, std=[0.25] * 3, generator=generator)
    network = models.build(NETWORKS[name][0], head).to(setting.device)
    if setting.channels_last:
        network.to(memory_format=torch.channels_last)
    if setting.compiled:
        network.compile(dynamic=False)
    return network.train()


def context(network: Network, setting: Setting) -> Context:
    """Return what methods are composed with: plain cross-entropy on one view."""

    def loss(logits: Tensor, labels: Tensor, cross_entropy: Callable[[Tensor, Tensor], Tensor]) -> Tensor:
        return cross_entropy(logits[0], labels)

    return Context(
        network=network,
        augmentation_loss=loss,
        seed=0,
        label_smoothing=0.0,
        device=setting.device,
        bfloat16=setting.bfloat16,
        channels_last=setting.channels_last,
    )


def changed(parameters: P, changes: Mapping[str, Any]) -> P:
    """Return a component's parameters with some of other values, checked."""
    return type(parameters).model_validate({**parameters.model_dump(), **changes})


def method(where: Context, name: str, **changes: Any) -> Method:
    """Return e.g. ``vanilla``, ``ews`` or ``at+ews``, ews with some parameters changed, at the start of an epoch."""
    parts = [] if name == "vanilla" else name.split("+")
    made = compose([changed(COMPONENTS[part], changes if part == "ews" else {}) for part in parts], where)
    made.begin_epoch(0)
    return made


def images(count: int, device: torch.device, *, iteration: int = 1) -> Batch:
    """Return a batch of noise: the cost of a step does not depend on what the images show."""
    generator = torch.Generator().manual_seed(1)
    pixels = torch.rand(1, count, 3, SIDE, SIDE, generator=generator).to(device)
    labels = torch.randint(CLASSES, (count,), generator=generator).to(device)
    return Batch(images=pixels, labels=labels, iteration=iteration, epoch=0)


def optimiser(network: Network) -> torch.optim.SGD:
    """Return the optimiser of a training run."""
    return torch.optim.SGD(network.parameters(), **RECIPE)


def step(method: Method, optimizer: torch.optim.Optimizer, batch: Batch) -> None:
    """Do what the training loop does with a batch."""
    method.gradients(batch)
    optim.step(optimizer, clip=CLIP)


Times = dict[str, list[float]]


def interleave(
    tasks: Mapping[str, Callable[[], object]], *, repeats: int, calls: int, warmup: int, device: torch.device
) -> tuple[Times, Times]:
    """Run every task in every repetition, each time beginning with another one.

    Args:
        tasks: what to time, by name.
        repeats: measured repetitions; the i-th entries of all lists belong together.
        calls: of a task in a row, per repetition; more than 1 where one call is as short as the clock's reading.
        warmup: repetitions before these.
        device: is waited for before the clock is read.

    Returns:
        seconds per call by task: of the wall clock, and of this process's processors.
    """
    names = list(tasks)
    wall: Times = {name: [] for name in names}
    processor: Times = {name: [] for name in names}
    for repeat in range(-warmup, repeats):
        first = repeat % len(names)
        for name in names[first:] + names[:first]:
            wait(device)
            before = time.perf_counter(), time.process_time()
            for _ in range(calls):
                tasks[name]()
            wait(device)
            after = time.perf_counter(), time.process_time()
            if repeat >= 0:
                wall[name].append((after[0] - before[0]) / calls)
                processor[name].append((after[1] - before[1]) / calls)
    return wall, processor


def wait(device: torch.device) -> None:
    """Let the device finish."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)


CPU_SIDE = 2048
"""Rows of the matrices whose product says what a processor can do."""


def matrix_peak(device: torch.device, *, bfloat16: bool, repeats: int = 9) -> dict[str, float]:
    """Return the spread of operations per second of a product of square matrices: what steps are held against."""
    side, calls = (8192, 10) if device.type == "cuda" else (CPU_SIDE, 1)
    kind = torch.bfloat16 if bfloat16 else torch.float32
    one, other = (torch.randn(side, side, device=device, dtype=kind) for _ in range(2))
    wall, _ = interleave({"product": lambda: one @ other}, repeats=repeats, calls=calls, warmup=2, device=device)
    return spread([2 * side**3 / seconds for seconds in wall["product"]])


def spread(values: Sequence[float]) -> dict[str, float]:
    """Return the median and the quartiles (``low``, ``high``; the same for a single value)."""
    low, median, high = statistics.quantiles(values, n=4, method="inclusive") if len(values) > 1 else [values[0]] * 3
    return {"median": median, "low": low, "high": high}


def machine(device: torch.device, threads: int) -> dict[str, Any]:
    """Return what measured: processor, cores, threads, the load by everyone before it began, GPU, versions."""
    versions = {"python": platform.python_version(), "torch": torch.__version__}
    versions["numpy"] = importlib.metadata.version("numpy")
    found: dict[str, Any] = {"processor": processor(), "cores": os.cpu_count(), "threads": threads}
    found |= {"load": round(os.getloadavg()[0], 2) if hasattr(os, "getloadavg") else None, "versions": versions}
    if device.type == "cuda":
        found["gpu"] = torch.cuda.get_device_name(device)
        versions |= {"cuda": str(torch.version.cuda), "cudnn": str(torch.backends.cudnn.version())}
    return found


def machine_line(found: Mapping[str, Any]) -> str:
    """Return :func:`machine` as a sentence."""
    parts = [found["gpu"]] if "gpu" in found else []
    parts += [f"{found['processor']}, {found['cores']} cores, {found['threads']} threads"]
    if found["load"] is not None:
        parts += [f"load of {found['load']} before the start"]
    versions = ", ".join(f"{name} {value}" for name, value in found["versions"].items())
    return f"{'; '.join(parts)}. {versions}."


def processor() -> str:
    """Return the processor's name."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return platform.processor()
    return next((line.split(":")[1].strip() for line in lines if line.startswith("model name")), platform.machine())
