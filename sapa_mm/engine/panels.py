"""Panels of a picture: their size, titles and scales of colours."""

from collections.abc import Callable, Sequence

import cv2
import numpy as np
from matplotlib.ticker import MaxNLocator

#: The longer side of a panel in pixels, at least and at most; images beyond are resized.
_SIDES = (320, 960)
_GAP = 8
_TITLE = 24
_BAR = 72
_FONT = (cv2.FONT_HERSHEY_SIMPLEX, 0.45, (0, 0, 0), 1, cv2.LINE_AA)


def fit_panels(image: np.ndarray, *maps: np.ndarray | None) -> list:
    """Bring an image and maps of it to the size of a panel.

    Args:
        image (np.ndarray): (H, W, 3).
        *maps (np.ndarray, optional): (h, w), which keep their values.

    Returns:
        list[np.ndarray or None]: All of them in one size.
    """
    longest = max(image.shape[:2])
    factor = np.clip(longest, *_SIDES) / longest
    size = [max(1, round(side * factor)) for side in image.shape[1::-1]]
    kind = cv2.INTER_AREA if factor < 1 else cv2.INTER_NEAREST
    nearest = [
        values if values is None else cv2.resize(values, size, interpolation=cv2.INTER_NEAREST)
        for values in maps
    ]
    return [cv2.resize(image, size, interpolation=kind), *nearest]


def add_title(panel: np.ndarray, text: str) -> np.ndarray:
    """Put a title above a panel, and a gap to its right and below it.

    Args:
        panel (np.ndarray): RGB, uint8 (H, W, 3).
        text (str): The title.

    Returns:
        np.ndarray: RGB, uint8, larger.
    """
    panel = np.pad(panel, ((_TITLE, _GAP), (0, _GAP), (0, 0)), constant_values=255)
    return cv2.putText(panel, text, (2, _TITLE - 8), *_FONT)


def draw_scale(
    color: Callable[[np.ndarray], np.ndarray], low: float, high: float, height: int, unit: str = ''
) -> np.ndarray:
    """Draw the colours from ``low``, at the bottom, to ``high``, with ticks.

    Args:
        color (Callable): Turns values (H, W) into RGB, uint8 (H, W, 3).
        low (float): The first value.
        high (float): The last value.
        height (int): Height of the panels beside it.
        unit (str): The title. Defaults to ''.

    Returns:
        np.ndarray: RGB, uint8, as high as a panel with its title.
    """
    column = np.linspace(high, low, height)[:, None]
    bar = np.pad(color(column).repeat(14, 1), ((0, 0), (0, _BAR - 14), (0, 0)), constant_values=255)
    bar = add_title(bar, unit)
    ticks = MaxNLocator(max(2, min(6, height // 30))).tick_values(low, high)
    for tick in [tick for tick in ticks if low <= tick <= high] or [low]:
        row = _TITLE + round((high - tick) / ((high - low) or 1) * (height - 1))
        cv2.line(bar, (14, row), (18, row), (0, 0, 0))
        cv2.putText(bar, f'{tick:.4g}', (22, row + 4), *_FONT)
    return bar


def join_panels(rows: Sequence[Sequence[np.ndarray]]) -> np.ndarray:
    """Join rows of panels with their titles; a row that is shorter ends in white.

    Args:
        rows (Sequence[Sequence[np.ndarray]]): RGB, uint8.

    Returns:
        np.ndarray: RGB, uint8.
    """
    joined = [np.hstack(row) for row in rows]
    width = max(row.shape[1] for row in joined)
    full = [
        np.pad(row, ((0, 0), (_GAP, width - row.shape[1]), (0, 0)), constant_values=255)
        for row in joined
    ]
    return np.vstack(full)
