"""Depth maps and their errors in colour."""

import matplotlib
import numpy as np

#: matplotlib's names of the colours of depth, near to far, and of errors.
DEPTH_COLORS = 'viridis'
ERROR_COLORS = 'magma'
#: What is drawn where there is no depth, a shade that neither has.
_GREY = 128


def color_depth(depth: np.ndarray, low: float, high: float) -> np.ndarray:
    """Colour a depth map.

    Args:
        depth (np.ndarray): Depth in metres (H, W). A pixel of 0, below, NaN or infinite has none.
        low (float): The depth of the first colour, in metres; nearer pixels have it, too.
        high (float): The depth of the last colour, in metres; farther pixels have it, too.

    Returns:
        np.ndarray: RGB, uint8 (H, W, 3); grey where there is no depth.
    """
    return _color(np.where(depth > 0, depth, np.nan), low, high, DEPTH_COLORS)


def color_error(error: np.ndarray, high: float) -> np.ndarray:
    """Colour the errors of a depth map.

    Args:
        error (np.ndarray): Absolute differences in metres (H, W), NaN where there is no truth.
        high (float): The error of the last colour, in metres; the first one is that of 0.

    Returns:
        np.ndarray: RGB, uint8 (H, W, 3); grey where there is no truth.
    """
    return _color(error, 0, high, ERROR_COLORS)


def depth_limits(*depths: np.ndarray) -> tuple[float, float]:
    """Find limits for ``color_depth`` that several maps of one image share.

    Args:
        *depths (np.ndarray): Depth in metres (H, W).

    Returns:
        tuple[float, float]: The 1st and the 99th percentile of all pixels that have a depth, in
        metres, so that a few pixels far off do not take all colours; (0, 1) without any.
    """
    values = np.concatenate([depth[np.isfinite(depth) & (depth > 0)] for depth in depths])
    low, high = np.percentile(values, (1, 99)) if values.size else (0, 1)
    return float(low), float(high)


def _color(values: np.ndarray, low: float, high: float, colors: str) -> np.ndarray:
    values = np.asarray(values, np.float64)
    valid = np.isfinite(values)
    scaled = (np.where(valid, values, low) - low) / ((high - low) or 1)
    picture = matplotlib.colormaps[colors](scaled.clip(0, 1), bytes=True)[..., :3]
    return np.where(valid[..., None], picture, np.uint8(_GREY))
