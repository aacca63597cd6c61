"""Resizing of features to sizes that need not be exact multiples."""

import torch
import torch.nn.functional as F
from sapa_ops.geometry import lowres_index
from torch import Tensor


def nearest_resize(low: Tensor, size: tuple[int, int]) -> Tensor:
    """Nearest upsampling that picks the same low-res pixels as the operators.

    (``F.interpolate`` takes ``floor(i * h / H)``, which differs for uneven ratios.)

    Args:
        low (Tensor): (N, C, h, w).
        size (tuple[int, int]): H and W; they may also be smaller than h and w.

    Returns:
        Tensor: (N, C, H, W).
    """
    n, c, h, w = low.shape
    high_h, high_w = size
    # A graph for any size must not branch on the size.
    if not torch.compiler.is_exporting() and high_h % h == 0 and high_w % w == 0:
        # A view and a copy, and a sum in backward: no scatter.
        grouped = low[:, :, :, None, :, None].expand(n, c, h, high_h // h, w, high_w // w)
        return grouped.reshape(n, c, high_h, high_w)
    rows = lowres_index(h, high_h, low.device)
    columns = lowres_index(w, high_w, low.device)
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
    if feature.shape[0] > 0:
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


def fit(feature: Tensor, size: tuple[int, int], scale_factor: int) -> Tensor:
    """Crops or resizes an upsampled feature to the target size.

    Backbones round odd sizes up (23 -> 12), so s * h exceeds H by less than s: that surplus is
    cropped at the end. Any other size is resized bilinearly.

    Args:
        feature (Tensor): (N, C, s * h, s * w).
        size (tuple[int, int]): Target H and W.
        scale_factor (int): s.

    Returns:
        Tensor: (N, C, H, W).
    """
    surplus = [side - target for side, target in zip(feature.shape[2:], size, strict=True)]
    if all(0 <= extra < scale_factor for extra in surplus):
        return crop(feature, size)
    return F.interpolate(feature, size=size, mode='bilinear', align_corners=False)
