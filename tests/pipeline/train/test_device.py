"""Which device a process computes on, and how several share several GPUs."""

from pathlib import Path

import pytest
import torch

from ews.core.device import bfloat16, exact, lease_gpu, leased, search_kernels
from ews.core.errors import EwsError


def test_leases_spread_over_gpus(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    with lease_gpu(2, tmp_path) as first, lease_gpu(2, tmp_path) as second:
        assert (first, second) == (0, 1)
        with lease_gpu(2, tmp_path) as third, lease_gpu(2, tmp_path) as fourth:
            assert (third, fourth) == (0, 1)
    with lease_gpu(2, tmp_path) as again:
        assert again == 0


def test_a_freed_gpu_is_taken_first(tmp_path: Path) -> None:
    with lease_gpu(2, tmp_path):
        with lease_gpu(2, tmp_path) as second:
            assert second == 1
        with lease_gpu(2, tmp_path) as third:
            assert third == 1


def test_leases_know_gpus_by_their_names(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "2,3")
    with lease_gpu(2, tmp_path) as first:
        assert first == 0
        # Another process sees GPU 2 as its second one.
        monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "1,2")
        with lease_gpu(2, tmp_path) as other, lease_gpu(2, tmp_path) as third:
            assert (other, third) == (0, 0)


def test_threads_are_set(monkeypatch: pytest.MonkeyPatch) -> None:
    if torch.cuda.is_available():
        pytest.skip("the CPU's setup")
    # For this process's other tests, only pretend.
    deterministic = []
    monkeypatch.setattr(torch, "set_deterministic_debug_mode", deterministic.append)
    with leased(threads=1) as device:
        assert device == torch.device("cpu") and torch.get_num_threads() == 1
        assert deterministic == ["error"]
    with pytest.raises(EwsError, match="at least 1"), leased(threads=0):
        pass


def test_precision() -> None:
    cpu = torch.device("cpu")
    assert not bfloat16("auto", cpu) and not bfloat16("float32", cpu) and bfloat16("bfloat16", cpu)
    with pytest.raises(EwsError, match="auto, float32, bfloat16"):
        bfloat16("half", cpu)


def test_kernels_are_searched_in_trainings_and_not_in_measurements() -> None:
    try:
        search_kernels(True)
        with exact():
            assert not torch.backends.cudnn.benchmark and not torch.backends.cudnn.allow_tf32
            assert torch.backends.cudnn.deterministic and torch.backends.cudnn.enabled
        assert torch.backends.cudnn.benchmark and torch.backends.cudnn.allow_tf32
    finally:
        search_kernels(False)
