"""Predicted alpha mattes as files."""

import numpy as np
from PIL import Image

from ..utils.files import whole_file


def write_alpha(alpha: np.ndarray, path: str) -> None:
    """Write an alpha matte.

    Args:
        alpha (np.ndarray): (H, W) in [0, 1]; NaN becomes 0.
        path (str): The file, a grey PNG of 8 bits.
    """
    with whole_file(path) as partial:
        Image.fromarray(_bytes(alpha)).save(partial)


def write_cutout(image: np.ndarray, alpha: np.ndarray, path: str) -> None:
    """Write a foreground with its alpha, without the colours of the old background.

    Args:
        image (np.ndarray): RGB, uint8 (H, W, 3).
        alpha (np.ndarray): See ``write_alpha``.
        path (str): The file, an RGBA PNG of 8 bits.

    Raises:
        ImportError: If pymatting is not installed.
    """
    from ..matting.foreground import estimate_foreground

    with whole_file(path) as partial:
        layers = np.dstack([estimate_foreground(image, alpha), _bytes(alpha)])
        Image.fromarray(layers).save(partial)


def _bytes(alpha: np.ndarray) -> np.ndarray:
    return np.rint(np.nan_to_num(alpha).clip(0, 1) * 255.0).astype(np.uint8)
