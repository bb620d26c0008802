"""Taking a subnet's part of a convolution's weight."""

from torch import Tensor


def slice_weight(weight: Tensor, rows: Tensor | None, columns: Tensor | None) -> Tensor:
    """Return weight[rows][:, columns] in the weight's own memory format, differentiable.

    The values and gradients of two ``index_select`` on the weight itself, to the bit. Those return NCHW from NHWC
    weights, which the convolution then copies back, and on more than two dimensions they walk element by element;
    on matrices in the order of memory they move rows.

    Args:
        weight: [O, I, h, w], contiguous as NCHW or NHWC.
        rows: output channels, int64 [o]; None: all.
        columns: input channels, int64 [i]; None: all.
    """
    height, width = weight.shape[2:]
    if weight.is_contiguous() and height * width > 1:
        weight = weight if rows is None else weight.index_select(0, rows)
        return weight if columns is None else weight.index_select(1, columns)
    part = weight.permute(0, 2, 3, 1)
    if rows is not None:
        part = part.flatten(1).index_select(0, rows)
    part = part.reshape(-1, weight.shape[1])
    if columns is not None:
        part = part.index_select(1, columns)
    if height * width == 1:
        # A kernel of one place is in both formats; these strides leave the choice to the images.
        return part[:, :, None, None]
    return part.view(-1, height, width, part.shape[1]).permute(0, 3, 1, 2)
