"""What a run was: parameters, code, data, versions, hardware, cost and result, as one JSON object."""

import platform
import resource
import shutil
import subprocess
import sys
from collections.abc import Iterable, Mapping
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import torch

import ews
from ews.core import files

NAME = "record.json"
PACKAGES = ("torch", "torchvision", "numpy")


def record(
    *,
    cell: Mapping[str, Any],
    data: str,
    code: str,
    hardware: Mapping[str, Any],
    wall_clock: float,
    epoch_seconds: Mapping[str, float],
    peak_memory: Mapping[str, int],
    counts: Mapping[str, int],
    metrics: Mapping[str, float | int | None],
    outputs: Iterable[Path],
    extra_data: str | None = None,
    teachers: Mapping[str, str] | None = None,
) -> dict[str, Any]:
    """Return the content of record.json.

    Args:
        cell: resolved parameters of the training.
        data: checksum of the dataset.
        code: fingerprint of the code.
        hardware: from :func:`hardware`.
        wall_clock: seconds, summed over all starts up to their last whole epoch.
        epoch_seconds: medians over the epochs, validation not included: ``wall``, and ``processor``, the time of this
            process on all its cores, which other programs on the machine disturb less (workers do not count).
        peak_memory: bytes by kind, from :func:`peak_memory`; the largest of all starts.
        counts: ``parameters``, ``train_images``, ``validation_images``.
        metrics: errors as shares in [0, 1], losses in nats, epochs counted from 1; None where there is none.
        outputs: the run's other files, of which the SHA-256 is kept.
        extra_data: checksum of the extra images; None: the training used none, and the key is left out.
        teachers: SHA-256 of the weights of the networks that the training learned from, by role; likewise.
    """
    return {
        "cell": dict(cell),
        "seed": cell["seed"],
        "data": data,
        **({} if extra_data is None else {"extra_data": extra_data}),
        **({"teachers": dict(teachers)} if teachers else {}),
        "code": code,
        "git": git(),
        "versions": versions(),
        "hardware": dict(hardware),
        "wall_clock_seconds": round(wall_clock, 3),
        "epoch_seconds": {clock: round(seconds, 3) for clock, seconds in epoch_seconds.items()},
        "peak_memory_bytes": dict(peak_memory),
        "counts": dict(counts),
        "metrics": dict(metrics),
        "files": {path.name: files.sha256(path) for path in sorted(outputs)},
    }


def git() -> dict[str, Any] | None:
    """Return ``{"revision": 40 hex digits, "dirty": bool}`` of the package's repository, or None without one.

    Dirty means that the package differs from that revision, new files included; results and data do not count.
    """
    folder = Path(ews.__file__).parent
    if shutil.which("git") is None:
        return None
    try:
        revision = _git(folder, "rev-parse", "HEAD")
        # A checkout that merely contains an installed copy of the package says nothing about it.
        if _git(folder, "ls-files", "--", ".") == "":
            return None
        return {"revision": revision, "dirty": _git(folder, "status", "--porcelain", "--", ".") != ""}
    except subprocess.CalledProcessError:
        return None


def _git(folder: Path, *arguments: str) -> str:
    command = ["git", "-C", str(folder), *arguments]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()


def versions() -> dict[str, str]:
    """Return the versions of Python, this package and what it computes with."""
    found = {"python": platform.python_version()}
    for package in PACKAGES:
        found[package] = version(package)
    try:
        found["ews"] = version("ews-robustness")
    except PackageNotFoundError:
        found["ews"] = "not installed"
    return found


def hardware(device: torch.device, *, threads: int) -> dict[str, Any]:
    """Return what computes: ``device`` (cpu or cuda), ``cpu``, ``gpu`` (or None), ``threads``."""
    gpu = torch.cuda.get_device_name(device) if device.type == "cuda" else None
    return {"device": device.type, "cpu": _cpu(), "gpu": gpu, "threads": threads}


def _cpu() -> str:
    try:
        for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines():
            if line.startswith("model name"):
                return line.split(":", 1)[1].strip()
    except OSError:
        pass
    return platform.processor() or platform.machine()


def peak_memory(device: torch.device) -> dict[str, int]:
    """Return the largest memory of this process so far, bytes: ``cpu`` (resident) and ``gpu`` (allocated, if any).

    That of the GPU includes what cuDNN's search for the fastest kernels takes for a moment.
    """
    unit = 1 if sys.platform == "darwin" else 1024
    peak = {"cpu": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit}
    if device.type == "cuda":
        peak["gpu"] = torch.cuda.max_memory_allocated(device)
    return peak
