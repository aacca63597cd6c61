"""Trimaps: 0 is background, 255 foreground, every other value unknown."""

from typing import TypeVar

import numpy as np
from torch import Tensor

from ..utils.log import log_info

BACKGROUND, UNKNOWN, FOREGROUND = 0, 128, 255

_Map = TypeVar('_Map', np.ndarray, Tensor)
_named_values: set[int] = set()


def is_unknown(trimap: _Map) -> _Map:
    """Find the unknown pixels.

    Args:
        trimap (np.ndarray | Tensor): Of any shape.

    Returns:
        np.ndarray | Tensor: bool, of the same shape.
    """
    return (trimap != BACKGROUND) & (trimap != FOREGROUND)


def clean_trimap(trimap: np.ndarray) -> np.ndarray:
    """Set every value other than 0 and 255 to 128; such a value is named once in a process.

    Args:
        trimap (np.ndarray): uint8, of any shape.

    Returns:
        np.ndarray: A new array, with 0, 128 and 255 only.
    """
    unknown = is_unknown(trimap)
    others = set(np.unique(trimap[unknown]).tolist()) - {UNKNOWN} - _named_values
    if others:
        _named_values.update(others)
        values = ', '.join(map(str, sorted(others)))
        log_info(f'Trimaps have the values {values} beside 0, 128 and 255; they count as unknown.')
    return np.where(unknown, np.uint8(UNKNOWN), trimap)
