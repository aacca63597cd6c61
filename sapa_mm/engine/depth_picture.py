"""A picture of a predicted depth map: image, truth, prediction and error, with their scales."""

from collections.abc import Callable

import cv2
import numpy as np
from matplotlib.ticker import MaxNLocator

from .depth_colors import color_depth, color_error, depth_limits

#: The longer side of a panel in pixels, at least and at most; images beyond are resized.
_SIDES = (320, 960)
_GAP = 8
_TITLE = 24
_BAR = 72
_FONT = (cv2.FONT_HERSHEY_SIMPLEX, 0.45, (0, 0, 0), 1, cv2.LINE_AA)


def draw_depth(image: np.ndarray, depth: np.ndarray, truth: np.ndarray | None = None) -> np.ndarray:
    """Draw a predicted depth map.

    Args:
        image (np.ndarray): RGB, uint8 (H, W, 3).
        depth (np.ndarray): The prediction in metres (h, w).
        truth (np.ndarray, optional): The true depth in metres, of the same or another size; 0 is no
            measurement. Defaults to None.

    Returns:
        np.ndarray: RGB, uint8: truth and prediction on one scale, the image and the absolute error,
        grey where there is no truth; without truth, image and prediction. Scales end at the 1st
        and the 99th percentile.
    """
    image, depth, truth = _resize(image, depth, truth)
    low, high = depth_limits(*(part for part in (depth, truth) if part is not None))
    prediction = _title(color_depth(depth, low, high), 'prediction')
    scale = _bar(lambda values: color_depth(values, low, high), low, high, len(depth))
    image = _title(image, 'image')
    if truth is None:
        return _frame(np.hstack([image, prediction, scale]))
    error = np.abs(depth - np.where(truth > 0, truth, np.nan))
    limit = depth_limits(error)[1]
    rows = [
        [_title(color_depth(truth, low, high), 'truth'), prediction, scale],
        [
            image,
            _title(color_error(error, limit), 'error'),
            _bar(lambda values: color_error(values, limit), 0, limit, len(depth)),
        ],
    ]
    return _frame(np.vstack([np.hstack(row) for row in rows]))


def _resize(image: np.ndarray, *depths: np.ndarray | None) -> list:
    """Bring all to the size of a panel; depths keep their values."""
    longest = max(image.shape[:2])
    factor = np.clip(longest, *_SIDES) / longest
    size = [max(1, round(side * factor)) for side in image.shape[1::-1]]
    kind = cv2.INTER_AREA if factor < 1 else cv2.INTER_NEAREST
    nearest = [
        depth if depth is None else cv2.resize(depth, size, interpolation=cv2.INTER_NEAREST)
        for depth in depths
    ]
    return [cv2.resize(image, size, interpolation=kind), *nearest]


def _title(panel: np.ndarray, text: str) -> np.ndarray:
    """Put a title above a panel, and a gap to its right and below it."""
    panel = np.pad(panel, ((_TITLE, _GAP), (0, _GAP), (0, 0)), constant_values=255)
    return cv2.putText(panel, text, (2, _TITLE - 8), *_FONT)


def _bar(
    color: Callable[[np.ndarray], np.ndarray], low: float, high: float, height: int
) -> np.ndarray:
    """Draw the colours from ``low``, at the bottom, to ``high``, with ticks in metres."""
    column = np.linspace(high, low, height)[:, None]
    bar = np.pad(color(column).repeat(14, 1), ((0, 0), (0, _BAR - 14), (0, 0)), constant_values=255)
    bar = _title(bar, 'm')
    ticks = MaxNLocator(max(2, min(6, height // 30))).tick_values(low, high)
    for tick in [tick for tick in ticks if low <= tick <= high] or [low]:
        row = _TITLE + round((high - tick) / ((high - low) or 1) * (height - 1))
        cv2.line(bar, (14, row), (18, row), (0, 0, 0))
        cv2.putText(bar, f'{tick:.4g}', (22, row + 4), *_FONT)
    return bar


def _frame(picture: np.ndarray) -> np.ndarray:
    return np.pad(picture, ((0, 0), (_GAP, 0), (0, 0)), constant_values=255)
