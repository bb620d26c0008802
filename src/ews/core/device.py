"""Where to compute: the device, its threads, and one GPU per process among several."""

import contextlib
import os
import tempfile
from collections.abc import Iterator
from itertools import count
from pathlib import Path

import torch
from filelock import FileLock, Timeout

from ews.core.errors import EwsError
from ews.core.faults import reported


@contextlib.contextmanager
def leased(*, threads: int) -> Iterator[torch.device]:
    """Yield the device to compute on, CUDA if there is one, and set up torch for it.

    Among several visible GPUs each process leases the least taken one by a lock file in the
    temporary folder; ``CUDA_VISIBLE_DEVICES`` limits the choice. The lease ends with the process.

    Args:
        threads: CPU threads of torch, at least 1. Results on the CPU are bit-identical between runs
            with the same number only.
    """
    if threads < 1:
        raise EwsError(f"--threads {threads}: must be at least 1.")
    torch.set_num_threads(threads)
    if not torch.cuda.is_available():
        # Makes an operation without a deterministic form fail loudly.
        # (`use_deterministic_algorithms` does the same and imports the compiler first: a second in each process.)
        torch.set_deterministic_debug_mode("error")
        torch.utils.deterministic.fill_uninitialized_memory = False  # type: ignore[attr-defined]
        yield torch.device("cpu")
        return
    with lease_gpu(torch.cuda.device_count()) as index:
        torch.cuda.set_device(index)
        yield torch.device("cuda", index)


def usable(device: torch.device | str) -> torch.device:
    """Return a device that torch can compute on.

    Raises:
        EwsError: there is no such device, or torch cannot use it.
    """
    try:
        found = torch.device(device)
        torch.empty(0, device=found)
    except (RuntimeError, AssertionError, TypeError) as error:
        reason = str(error).splitlines()[0].rstrip(".:")
        raise EwsError(f"device {str(device)!r}: torch cannot compute there: {reason}. cpu is always valid.") from None
    return found


def search_kernels(worthwhile: bool) -> None:
    """Let cuDNN time all its kernels for each new shape of a convolution, or not.

    It pays off for shapes that come in every step, not for those of an epoch's last batch or of the validation. Which
    kernel wins may differ between runs, and so may bits on CUDA; on a CPU nothing depends on it.
    """
    torch.backends.cudnn.benchmark = worthwhile


def exact() -> contextlib.AbstractContextManager[None]:
    """Compute convolutions in true float32 (no TF32) and by the same kernels every time, as measurements do."""
    flags: contextlib.AbstractContextManager[None] = torch.backends.cudnn.flags(
        enabled=True, benchmark=False, deterministic=True, allow_tf32=False
    )
    return flags


def bfloat16(precision: str, device: torch.device) -> bool:
    """Say whether a recipe's ``precision`` means bfloat16 autocast on a device.

    Args:
        precision: ``"auto"`` (bfloat16 on CUDA where it is native, else float32), ``"float32"`` or ``"bfloat16"``.
        device: where the training runs.
    """
    if precision not in ("auto", "float32", "bfloat16"):
        raise EwsError(f"recipe: precision {precision!r}: valid are auto, float32, bfloat16.")
    if precision == "auto":
        return device.type == "cuda" and torch.cuda.is_bf16_supported(including_emulation=False)
    return precision == "bfloat16"


@contextlib.contextmanager
def lease_gpu(devices: int, folder: Path | None = None) -> Iterator[int]:
    """Yield the index of a GPU that no process has more leases of than any other GPU.

    Args:
        devices: how many are visible to this process.
        folder: of the lock files, the same for all processes that share them; None: one of this user's in the
            temporary folder.
    """
    visible = [name.strip() for name in os.environ.get("CUDA_VISIBLE_DEVICES", "").split(",") if name.strip()]
    # Lock by the name that is the same in every process; indices are relative to the visible ones.
    names = visible if len(visible) >= devices else [str(index) for index in range(devices)]
    folder = folder or _leases()
    with reported(folder):
        folder.mkdir(parents=True, exist_ok=True)
    for place in count():
        for index in range(devices):
            path = folder / f"{names[index]}.{place}.lock"
            lock = FileLock(path)
            with reported(path):
                try:
                    lock.acquire(timeout=0)
                except Timeout:
                    continue
            try:
                yield index
            finally:
                lock.release()
            return


def _leases() -> Path:
    """Return the folder of this user's leases: by number, since a container's user may have no name."""
    try:
        return Path(tempfile.gettempdir()) / f"ews-gpu-{os.getuid()}"
    except FileNotFoundError:
        raise EwsError("no folder for temporary files can be written: set TMPDIR to one that can.") from None
