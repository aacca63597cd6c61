"""The colours of a foreground, without those of the old background."""

import numpy as np
import torch


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
        ValueError: If the image or alpha is not as above.
    """
    if image.dtype != np.uint8 or image.shape != (*alpha.shape[:2], 3):
        raise ValueError(
            f'estimate_foreground: image must be uint8 (H, W, 3), of the size of alpha, got '
            f'{image.dtype} {image.shape} and {alpha.shape}'
        )
    alpha = np.nan_to_num(alpha)
    # Resizing may give a little more than 1.
    if alpha.ndim != 2 or alpha.max(initial=0) > 1.001:
        raise ValueError(
            'estimate_foreground: alpha must be (H, W) in [0, 1], got '
            f'{alpha.shape}, up to {alpha.max(initial=0):g}; divide a matte of 8 bits by 255'
        )
    threads = torch.get_num_threads()
    try:
        from pymatting import estimate_foreground_ml
    except ImportError as error:
        raise ImportError(
            'estimating the foreground needs pymatting: pip install pymatting'
        ) from error
    finally:
        torch.set_num_threads(threads)  # numba, which it imports, changes it for OpenMP as a whole
    # In float32, as it computes: with float64 there would be copies of both.
    foreground = estimate_foreground_ml(image.astype(np.float32) / 255, alpha.astype(np.float32))
    return np.rint(foreground.clip(0, 1) * 255).astype(np.uint8)
