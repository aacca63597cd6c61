"""Predicted depth maps as files."""

import os

import numpy as np

from ..utils.files import whole_file, write_image

#: What a 16-bit image in millimetres holds at most, in metres.
MAX_PNG_DEPTH = 65.535


def write_depth(depth: np.ndarray, path: str) -> None:
    """Write a depth map.

    Args:
        depth (np.ndarray): Depth in metres (H, W).
        path (str): The file. ``.png``: 16 bits, in millimetres, 0 where the depth is not a finite
            number, at most ``MAX_PNG_DEPTH``; ``.npy``: float32, in metres, as it is.
    """
    if os.path.splitext(path)[1] == '.npy':
        with whole_file(path) as partial:
            np.save(partial, depth.astype(np.float32))
        return
    metres = np.where(np.isfinite(depth), depth, 0).clip(0, MAX_PNG_DEPTH)
    write_image(path, np.rint(metres * 1000.0).astype(np.uint16))
