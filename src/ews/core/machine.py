"""On what and with what something was computed: hardware, versions, revision of the code, memory."""

import platform
import resource
import shutil
import subprocess
import sys
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import torch

import ews
from ews.core.machine_types import Git, Hardware

PACKAGES = ("torch", "torchvision", "numpy")


def git() -> Git | None:
    """Return the state of the package's repository; None without one.

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
        return Git(revision=revision, dirty=_git(folder, "status", "--porcelain", "--", ".") != "")
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


def hardware(device: torch.device, *, threads: int) -> Hardware:
    """Return what computes, with so many threads."""
    gpu = torch.cuda.get_device_name(device) if device.type == "cuda" else None
    return Hardware(device=device.type, cpu=_cpu(), gpu=gpu, threads=threads)


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
