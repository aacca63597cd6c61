"""The colours of a foreground, without those of the old background."""

import numpy as np


def estimate_foreground(image: np.ndarray, alpha: np.ndarray) -> np.ndarray:
    """Estimate the foreground's own colours, to put it on another background.

    Where alpha is between 0 and 1, the colours of the image are mixed with those of the background
    and would leave a halo of it. By pymatting's multi-level estimation (Germer et al., ICPR 2020).

    Args:
        image (np.ndarray): RGB or BGR, uint8 (H, W, 3).
        alpha (np.ndarray): (H, W) in [0, 1]; NaN counts as 0.

    Returns:
        np.ndarray: The foreground, uint8 (H, W, 3), channels as the image's.

    Raises:
        ImportError: If pymatting is not installed.
    """
    try:
        from pymatting import estimate_foreground_ml
    except ImportError as error:
        raise ImportError(
            'estimating the foreground needs pymatting: pip install pymatting'
        ) from error
    # In float32, as it computes: with float64 there would be copies of both.
    foreground = estimate_foreground_ml(
        image.astype(np.float32) / 255, np.nan_to_num(alpha).astype(np.float32)
    )
    return np.rint(foreground.clip(0, 1) * 255).astype(np.uint8)
