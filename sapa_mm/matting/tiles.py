"""Large photographs in overlapping tiles."""

import itertools
import math
from collections.abc import Callable

import torch
from torch import Tensor

#: Overlap of neighbouring tiles in pixels: what the widest dilation of the ASPP sees on one side.
OVERLAP = 288


def predict_in_tiles(
    predict: Callable[[Tensor], Tensor], inputs: Tensor, needed: Tensor, max_pixels: int
) -> Tensor:
    """Predict tile by tile and blend them where they overlap.

    Args:
        predict (Callable[[Tensor], Tensor]): Gives (N, 1, h, w) for (N, C, h, w).
        inputs (Tensor): (N, C, H, W) with sides that are multiples of 16, as those of the tiles
            are.
        needed (Tensor): bool (N, 1, H, W), the pixels to predict; a tile without any is left out.
        max_pixels (int): Most pixels of a tile.

    Returns:
        Tensor: (N, 1, H, W), in float32 at least; 0 where no tile is predicted.
    """
    size = (inputs.shape[2], inputs.shape[3])
    tile = tile_size(size, max_pixels)
    out = inputs.new_zeros(needed.shape, dtype=torch.promote_types(inputs.dtype, torch.float32))
    total = torch.zeros_like(out)
    share = _ramp(tile[0], out)[:, None] * _ramp(tile[1], out)
    for top, left in itertools.product(*map(tile_starts, size, tile)):
        rows, columns = slice(top, top + tile[0]), slice(left, left + tile[1])
        if needed[..., rows, columns].any():
            out[..., rows, columns] += share * predict(inputs[..., rows, columns])
            total[..., rows, columns] += share
    return out / total.clamp_min(torch.finfo(total.dtype).tiny)


def tile_size(size: tuple[int, int], max_pixels: int) -> tuple[int, int]:
    """The size of the tiles of an image: square, unless a side of the image is shorter.

    Args:
        size (tuple[int, int]): Height and width of the image, multiples of 16.
        max_pixels (int): Most pixels of a tile.

    Returns:
        tuple[int, int]: Height and width of a tile, multiples of 16.
    """
    side = _multiple(math.isqrt(max_pixels))
    height = min(size[0], max(side, _multiple(max_pixels // size[1])))
    return height, min(size[1], _multiple(max_pixels // height))


def tile_starts(side: int, tile: int) -> list[int]:
    """Where tiles start along a side: evenly, so that neighbours overlap.

    Args:
        side (int): The side of the image, a multiple of 16.
        tile (int): That of the tiles, likewise.

    Returns:
        list[int]: Multiples of 16, from 0 on.
    """
    if side == tile:
        return [0]
    steps = math.ceil((side - tile) / (tile - OVERLAP))
    return [_multiple(index * (side - tile) // steps) for index in range(steps + 1)]


def _multiple(pixels: int) -> int:
    return pixels // 16 * 16


def _ramp(side: int, like: Tensor) -> Tensor:
    """The share of a tile along one side, which rises over the overlap; never 0."""
    place = torch.arange(side, device=like.device, dtype=like.dtype)
    return (torch.minimum(place, side - 1 - place) + 1).clamp_max(OVERLAP) / OVERLAP
