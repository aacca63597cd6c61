"""Layers of the hosts in a form that is traced once for all sizes.

torch.export keeps the sizes of features as formulas of the image's. Where a layer branches on them,
rounds them through floats or splits a product of two of them, tracing fails or takes hours.
"""

import contextlib
from collections.abc import Callable, Iterator
from unittest import mock

import torch
import torch.nn.functional as F
from torch import Tensor, nn


def pad(self, x: Tensor) -> Tensor:
    """``AdaptivePadding.forward`` of mmseg and mmdet without a branch."""
    pads: list[int] = []
    for side, kernel, stride, dilation in zip(
        x.shape[2:], self.kernel_size, self.stride, self.dilation, strict=True
    ):
        reach = (kernel - 1) * dilation + 1
        missing = (side + stride - 1) // stride * stride + reach - stride - side
        if reach < stride:
            missing = torch.sym_max(missing, 0)
        before = missing // 2 if self.padding == 'same' else 0
        pads = [before, missing - before, *pads]
    return F.pad(x, pads)


def attend_in_windows(self, query: Tensor, hw_shape: tuple[int, int]) -> Tensor:
    """``ShiftWindowMSA.forward`` of mmseg's and mmdet's Swin, whose windows are gathered.

    Pixels (N, H * W, C) and places in windows (N, windows * side², C) are single axes, of which
    indices pick from one another, in place of padding, rolling and reshaping maps.
    """
    side, shift, (height, width) = self.window_size, self.shift_size, hw_shape
    rows, columns = ((size + side - 1) // side for size in hw_shape)
    batch, _, channels = query.shape

    place = torch.arange(rows * columns * side**2, device=query.device)
    window, inside = _divide(place, side**2)
    row, column = _divide(window, columns)
    below, right = _divide(inside, side)
    y, x = row * side + below, column * side + right
    mask = None
    if shift:
        # Of the windows at the end, parts that the roll brought together do not see each other.
        parts = [
            (at >= count * side - side).long() + (at >= count * side - shift)
            for at, count in ((y, rows), (x, columns))
        ]
        part = (3 * parts[0] + parts[1]).view(-1, side**2)
        mask = torch.where(part[:, None] == part[:, :, None], 0.0, -100.0)
    y, x = _divide(y + shift, rows * side)[1], _divide(x + shift, columns * side)[1]
    # Pixels of the padding are one of zeros after the last.
    pixel = torch.where((y < height) & (x < width), y * width + x, height * width)
    windows = F.pad(query, (0, 0, 0, 1)).index_select(1, pixel).view(-1, side**2, channels)
    windows = self.w_msa(windows, mask=mask)

    y, x = _divide(torch.arange(height * width, device=query.device), width)
    row, below = _divide(_divide(y + rows * side - shift, rows * side)[1], side)
    column, right = _divide(_divide(x + columns * side - shift, columns * side)[1], side)
    place = (row * columns + column) * side**2 + below * side + right
    return self.drop(windows.view(batch, -1, channels).index_select(1, place))


def _divide(index: Tensor, size: int) -> tuple[Tensor, Tensor]:
    """Quotient and remainder; torch's exporter cannot translate ``%`` of a formula."""
    quotient = index // size
    return quotient, index - quotient * size


#: What takes the place of ``forward``, by the name of the layer.
FORMS: dict[str, Callable] = {'AdaptivePadding': pad, 'ShiftWindowMSA': attend_in_windows}


@contextlib.contextmanager
def traceable(model: nn.Module) -> Iterator[None]:
    """Give a model's layers the forms that can be traced, which compute the same, for a while.

    Args:
        model (nn.Module): The model.
    """
    with contextlib.ExitStack() as stack:
        for kind in {type(module) for module in model.modules()}:
            if kind.__name__ in FORMS:
                stack.enter_context(mock.patch.object(kind, 'forward', FORMS[kind.__name__]))
        yield
