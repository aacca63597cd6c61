"""The low-res position of every high-res position, grouping by it, and layouts of maps."""

import torch
from torch import Tensor


def ceil_div(number: int, divisor: int) -> int:
    """Divide positive integers and round up.

    (Not by ``-(-number // divisor)``: torch's ONNX exporter rounds negative quotients towards 0.)
    """
    return (number + divisor - 1) // divisor


def lowres_index(
    low: int, high: int, device: torch.device | str | None = None, refinement: int = 1
) -> Tensor:
    """Compute the low-res index of every high-res index along one axis.

    ``i // s`` where ``low == ceil(high / s)`` for a whole s: backbones round odd sizes up, so the
    map is the beginning of one of ``s * low``. For any other ratio,
    ``floor((i + 0.5) * low / high)``, in exact integer arithmetic.

    Args:
        low (int): Size of the low-res axis.
        high (int): Size of the high-res axis.
        device (torch.device | str, optional): Where to put the result. Defaults to None (CPU).
        refinement (int): Compute the index on an axis that has this many times the low-res pixels,
            such as a map that a pixel shuffle has enlarged. Defaults to 1.

    Returns:
        Tensor: int64 of shape (high,), values in [0, refinement * low).
    """
    position = torch.arange(high, device=device)
    centre = (2 * position + 1) * refinement
    ratio = ceil_div(high, low)
    by_ratio = torch.div(centre, 2 * ratio, rounding_mode='floor')
    by_size = torch.div(centre * low, 2 * high, rounding_mode='floor')
    # Compared as tensors: a branch would tie a traced graph to the size.
    last = position.amax(0, keepdim=True)  # of a slice, a graph may not see that it has one value
    is_ratio = torch.div(last, ratio, rounding_mode='floor') == low - 1
    index = torch.where(is_ratio, by_ratio, by_size)
    # One low-res pixel fits every ratio: 1 -> 1 is the beginning of the enlarged map, as 12 -> 23.
    is_one = torch.div(last, refinement, rounding_mode='floor') + low == 1
    return torch.where(is_one, position, index)


def group_children(feature: Tensor, h: int, w: int) -> Tensor:
    """Group the pixels of a high-res map by the low-res pixel that they belong to.

    For exact multiples the result is a view. Otherwise low-res pixels differ in their number of
    children; missing ones are filled with their last, which ``ungroup_children`` drops.

    Args:
        feature (Tensor): (N, C, H, W).
        h (int): Low-res height.
        w (int): Low-res width.

    Returns:
        Tensor: (N, C, h, ceil(H / h), w, ceil(W / w)).
    """
    n, c, high_h, high_w = feature.shape
    if _is_uneven(h, high_h):
        feature = feature.index_select(2, _child_index(h, high_h, feature.device))
    if _is_uneven(w, high_w):
        feature = feature.index_select(3, _child_index(w, high_w, feature.device))
    return feature.reshape(n, c, h, ceil_div(high_h, h), w, ceil_div(high_w, w))


def ungroup_children(grouped: Tensor, high_h: int, high_w: int) -> Tensor:
    """Undo ``group_children``.

    Args:
        grouped (Tensor): (N, C, h, ceil(H / h), w, ceil(W / w)).
        high_h (int): H.
        high_w (int): W.

    Returns:
        Tensor: (N, C, H, W).
    """
    n, c, h, children_y, w, children_x = grouped.shape
    feature = grouped.reshape(n, c, h * children_y, w * children_x)
    if _is_uneven(h, high_h):
        feature = feature.index_select(2, _slot_index(h, high_h, feature.device))
    if _is_uneven(w, high_w):
        feature = feature.index_select(3, _slot_index(w, high_w, feature.device))
    return feature


def children_exist(h: int, w: int, high_h: int, high_w: int, device: torch.device) -> Tensor:
    """Tell which children of ``group_children`` exist, and do not fill up.

    Args:
        h (int): Low-res height.
        w (int): Low-res width.
        high_h (int): H.
        high_w (int): W.
        device (torch.device): Where to put the result.

    Returns:
        Tensor: Booleans, (h, ceil(H / h), w, ceil(W / w)).
    """
    rows, columns = (_exist(*sides, device) for sides in ((h, high_h), (w, high_w)))
    return rows[:, :, None, None] & columns


def layout_of(feature: Tensor) -> torch.memory_format:
    """The layout of a map (N, C, h, w): channels_last if its channels lie side by side.

    csrc/bindings/arguments.h has the same rule.
    """
    stride = feature.stride()
    side_by_side = feature.shape[1] > 1 and stride[1] == 1 and stride[3] >= feature.shape[1]
    return torch.channels_last if side_by_side else torch.contiguous_format


def is_recorded() -> bool:
    """Tell whether ``torch.compile``, ``torch.export`` or ``torch.jit`` records a graph."""
    return torch.jit.is_tracing() or torch.compiler.is_compiling()


def is_traced() -> bool:
    """Tell whether ``torch.export`` or ``torch.jit`` traces: what they record must fit any size."""
    return torch.jit.is_tracing() or torch.compiler.is_exporting()


def _is_uneven(low: int, high: int) -> bool:
    return high % low != 0


def _children(low: int, high: int, device: torch.device) -> tuple[Tensor, Tensor]:
    """The first child of every low-res index, and the first that is no more, (low,) each."""
    index = lowres_index(low, high, device)
    pixel = torch.arange(low, device=device)
    return torch.searchsorted(index, pixel), torch.searchsorted(index, pixel, right=True)


def _child_index(low: int, high: int, device: torch.device) -> Tensor:
    """High-res index of every slot of the grouped layout, (low * ceil(high / low),)."""
    first, end = _children(low, high, device)
    child = torch.arange(ceil_div(high, low), device=device)
    return torch.minimum(first[:, None] + child, end[:, None] - 1).flatten()


def _exist(low: int, high: int, device: torch.device) -> Tensor:
    """Which slots of the grouped layout have a child of their own, (low, ceil(high / low))."""
    first, end = _children(low, high, device)
    return torch.arange(ceil_div(high, low), device=device) < (end - first)[:, None]


def _slot_index(low: int, high: int, device: torch.device) -> Tensor:
    """Slot of every high-res index in the grouped layout, (high,)."""
    index = lowres_index(low, high, device)
    first, _ = _children(low, high, device)
    child = torch.arange(high, device=device) - first[index]
    return index * ceil_div(high, low) + child
