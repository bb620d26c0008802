"""Slices of weights: the same values, gradients and memory format as indexing the weight itself."""

import pytest
import torch

from ews.models.slicing import slice_weight

ROWS, COLUMNS = torch.tensor([0, 2, 3, 7]), torch.tensor([1, 2, 5])


@pytest.mark.parametrize("memory_format", [torch.contiguous_format, torch.channels_last])
@pytest.mark.parametrize("kernel", [1, 3])
@pytest.mark.parametrize("rows", [None, ROWS])
@pytest.mark.parametrize("columns", [None, COLUMNS])
def test_slices(
    rows: torch.Tensor | None, columns: torch.Tensor | None, kernel: int, memory_format: torch.memory_format
) -> None:
    weight = torch.randn(8, 6, kernel, kernel, generator=torch.Generator().manual_seed(0))
    weight = weight.contiguous(memory_format=memory_format).requires_grad_()
    part = slice_weight(weight, rows, columns)
    expected = weight
    if rows is not None:
        expected = expected[rows]
    if columns is not None:
        expected = expected[:, columns]
    assert torch.equal(part, expected)
    assert part.is_contiguous(memory_format=memory_format)
    factor = torch.randn(part.shape, generator=torch.Generator().manual_seed(1))
    (got,) = torch.autograd.grad((part * factor).sum(), weight)
    (wanted,) = torch.autograd.grad((expected * factor).sum(), weight)
    assert torch.equal(got, wanted)
