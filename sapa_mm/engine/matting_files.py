"""Predicted alpha mattes as files."""

import numpy as np

from ..utils.files import write_image


def write_alpha(alpha: np.ndarray, path: str) -> None:
    """Write an alpha matte.

    Args:
        alpha (np.ndarray): (H, W) in [0, 1]; NaN becomes 0.
        path (str): The file, a grey PNG of 8 bits.
    """
    write_image(path, _bytes(alpha))


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

    write_image(path, np.dstack([estimate_foreground(image, alpha), _bytes(alpha)]))


def _bytes(alpha: np.ndarray) -> np.ndarray:
    return np.rint(np.nan_to_num(alpha).clip(0, 1) * 255.0).astype(np.uint8)
