"""Resizing of features to sizes that need not be exact multiples."""

import torch
import torch.nn.functional as F
from sapa_ops.geometry import ceil_div, is_recorded, is_traced, lowres_index
from torch import Tensor


def whole_side(low: int, high: int, scale_factor: int = 1) -> int:
    """The side that a map is upsampled to before it is cropped to ``high``.

    Backbones round odd sides up: where ``low == ceil(high / s)`` for a whole s, the high-res map is
    the beginning of one of ``s * low``. For any other ratio nothing is cropped.

    Args:
        low (int): Low-res side.
        high (int): High-res side.
        scale_factor (int): The s to prefer where several fit, as for a side of 1. Defaults to 1.

    Returns:
        int: ``s * low`` or ``high``.
    """
    for stride in (scale_factor, ceil_div(high, low)):
        if low == ceil_div(high, stride):
            return stride * low
    return high


def nearest_resize(low: Tensor, size: tuple[int, int], refinement: int = 1) -> Tensor:
    """Nearest upsampling that picks the same low-res pixels as the operators.

    (``F.interpolate`` takes ``floor(i * h / H)``, which differs for uneven ratios above two.)

    Args:
        low (Tensor): (N, C, r * h, r * w).
        size (tuple[int, int]): H and W; they may also be smaller than those of ``low``.
        refinement (int): r, by which a pixel shuffle has enlarged the map. Defaults to 1.

    Returns:
        Tensor: (N, C, H, W).
    """
    n, c, h, w = low.shape
    high_h, high_w = size
    if not is_traced() and high_h % h == 0 and high_w % w == 0:
        # A view and a copy, and a sum in backward: no scatter.
        grouped = low[:, :, :, None, :, None].expand(n, c, h, high_h // h, w, high_w // w)
        return grouped.reshape(n, c, high_h, high_w)
    rows = lowres_index(h // refinement, high_h, low.device, refinement)
    columns = lowres_index(w // refinement, high_w, low.device, refinement)
    return low.index_select(2, rows).index_select(3, columns)


def pad_to_even(guide: Tensor) -> Tensor:
    """Appends a row and a column of zeros, so that a filter of stride 2 rounds odd sides up.

    Even sides are padded as well: there the zeros take the place of the filter's own padding, and a
    branch on the size would tie a traced graph to it.

    Args:
        guide (Tensor): (N, C', H, W).

    Returns:
        Tensor: (N, C', H + 1, W + 1).
    """
    return F.pad(guide, (0, 1, 0, 1))


def shuffle(children: Tensor, size: tuple[int, int]) -> Tensor:
    """Pixel shuffle by two, then a crop, for features computed from ``pad_to_even``.

    Args:
        children (Tensor): (N, C, 4, h', w'); the children of a pixel run row by row.
        size (tuple[int, int]): Target H and W, up to 2 * h' and 2 * w'.

    Returns:
        Tensor: (N, C, H, W).
    """
    return crop(pixel_shuffle(children.flatten(1, 2), 2), size)


def pixel_shuffle(feature: Tensor, scale_factor: int) -> Tensor:
    """``F.pixel_shuffle``, whose backward pass fails on an empty batch.

    Args:
        feature (Tensor): (N, C * s * s, h, w).
        scale_factor (int): s.

    Returns:
        Tensor: (N, C, s * h, s * w).
    """
    if is_traced() or feature.shape[0] > 0:
        return F.pixel_shuffle(feature, scale_factor)
    children = feature.unflatten(1, (-1, scale_factor, scale_factor))
    return children.permute(0, 1, 4, 2, 5, 3).flatten(4, 5).flatten(2, 3)


def crop(feature: Tensor, size: tuple[int, int]) -> Tensor:
    """The first H rows and W columns.

    Args:
        feature (Tensor): (N, C, H or more, W or more).
        size (tuple[int, int]): H and W.

    Returns:
        Tensor: (N, C, H, W).
    """
    if not torch.compiler.is_compiling():
        return feature[:, :, : size[0], : size[1]]
    # A graph traced with a slice fits either sizes that need a crop or sizes that do not.
    rows, columns = (torch.arange(side, device=feature.device) for side in size)
    return feature.index_select(2, rows).index_select(3, columns)


def fit(
    feature: Tensor, size: tuple[int, int], scale_factor: int, align_corners: bool = False
) -> Tensor:
    """Crops an upsampled feature to the target size; resizes it bilinearly first if it must.

    Along each axis the feature is resized to ``whole_side``, unless s led there already, and
    cropped.

    Args:
        feature (Tensor): (N, C, s * h, s * w).
        size (tuple[int, int]): Target H and W.
        scale_factor (int): s.
        align_corners (bool): As in ``F.interpolate``. Defaults to False.

    Returns:
        Tensor: (N, C, H, W).
    """
    if not is_traced() and feature.shape[2:] == size:
        return feature
    if is_recorded():
        for axis, high in zip((2, 3), size, strict=True):
            feature = _fit_axis(feature, axis, high, scale_factor, align_corners)
        return feature
    whole = tuple(
        whole_side(side // scale_factor, target, scale_factor)
        for side, target in zip(feature.shape[2:], size, strict=True)
    )
    if whole != feature.shape[2:]:
        feature = F.interpolate(feature, whole, mode='bilinear', align_corners=align_corners)
    return crop(feature, size)


def _fit_axis(
    feature: Tensor, axis: int, high: int, scale_factor: int, align_corners: bool
) -> Tensor:
    """``fit`` along one axis, without a branch on the size: one graph serves every size."""
    side = feature.shape[axis]
    low = side // scale_factor
    position = torch.arange(high, device=feature.device)
    last = position.amax(0, keepdim=True)  # of a slice, a graph may not see that it has one value
    whole = last + 1
    for stride in (ceil_div(high, low), scale_factor):  # the latter wins, see whole_side
        fits = torch.div(last, stride, rounding_mode='floor') == low - 1
        whole = whole + fits * (stride * low - whole)
    # Each position lies at source / unit; in integers, so that a mere crop is exact.
    if align_corners:
        source, unit = position * (side - 1), (whole - 1).clamp(min=1)
    else:
        source, unit = (2 * position + 1) * side - whole, 2 * whole
    before = torch.div(source, unit, rounding_mode='floor').clamp(min=0)
    after = (before + 1).clamp(max=side - 1)
    dtype = torch.promote_types(feature.dtype, torch.float32)
    share = ((source - before * unit).clamp(min=0).to(dtype) / unit).to(feature.dtype)
    share = share.unflatten(0, (-1, *(1,) * (3 - axis)))
    at, beyond = feature.index_select(axis, before), feature.index_select(axis, after)
    return torch.where(share > 0, at * (1 - share) + beyond * share, at)
