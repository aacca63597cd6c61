"""Trimaps: 0 is background, 255 foreground, every other value unknown."""

from typing import TypeVar

import cv2
import numpy as np
from sapa_ops.checks import check_positive
from torch import Tensor

from ..utils.log import log_info, log_warning

BACKGROUND, UNKNOWN, FOREGROUND = 0, 128, 255

#: Values of trimaps that the log, or a report, has named in this process.
named_values: set[int] = set()
_NEARLY = 16
_Map = TypeVar('_Map', np.ndarray, Tensor)


def is_unknown(trimap: _Map) -> _Map:
    """Find the unknown pixels.

    Args:
        trimap (np.ndarray | Tensor): Of any shape.

    Returns:
        np.ndarray | Tensor: bool, of the same shape.
    """
    return (trimap != BACKGROUND) & (trimap != FOREGROUND)


def is_nearly_known(trimap: np.ndarray) -> np.ndarray:
    """Find the pixels that are not 0 or 255 but close to it, as JPEG makes of known ones.

    Args:
        trimap (np.ndarray): uint8, of any shape.

    Returns:
        np.ndarray: bool, of the same shape.
    """
    return is_unknown(trimap) & ((trimap <= _NEARLY) | (trimap >= FOREGROUND - _NEARLY))


def clean_trimap(trimap: np.ndarray, name: str = 'trimap') -> np.ndarray:
    """Set every value other than 0 and 255 to 128; such a value is named once in a process.

    Args:
        trimap (np.ndarray): uint8, of any shape.
        name (str): What messages call it. Defaults to 'trimap'.

    Returns:
        np.ndarray: A new array, with 0, 128 and 255 only.

    Raises:
        ValueError: If it has numbers up to 2 in place of these.
    """
    highest = trimap.max(initial=0)
    if 0 < highest <= 2:
        raise ValueError(f'{name} has no value above {highest}, a trimap has 0, 128 and 255')
    unknown = is_unknown(trimap)
    others = set(np.unique(trimap[unknown]).tolist()) - {UNKNOWN} - named_values
    nearly = [value for value in sorted(others) if is_nearly_known(np.uint8(value))]
    named_values.update(range(256) if nearly else others)
    if nearly:
        log_warning(
            f'{name} has values close to 0 or 255, such as {nearly[0]}; like all others they count '
            'as unknown. JPEG makes them: save trimaps as PNG.'
        )
    elif others:
        values = ', '.join(map(str, sorted(others)))
        log_info(f'Trimaps have the values {values} beside 0, 128 and 255; they count as unknown.')
    return np.where(unknown, np.uint8(UNKNOWN), trimap)


def make_trimap(mask: np.ndarray | Tensor, width: int) -> np.ndarray:
    """Make a trimap of a mask: what is near its outline is unknown.

    Args:
        mask (np.ndarray | Tensor): bool (H, W), or integers, 0 for the background and one other
            value for the foreground.
        width (int): How far the unknown reaches to either side of the outline, in pixels.

    Returns:
        np.ndarray: uint8 (H, W): 255 in the foreground and 0 in the background, 128 where a pixel
        of the other is at most ``width`` away.

    Raises:
        ValueError: If mask is not such a map, or width not a positive integer.
    """
    mask = mask.numpy(force=True) if isinstance(mask, Tensor) else np.asarray(mask)
    check_positive('make_trimap', width=width)
    if mask.ndim != 2 or mask.dtype.kind not in 'bui':
        raise ValueError(
            f'make_trimap: mask must be (H, W), of bool or integers, got {mask.dtype} {mask.shape}'
        )
    foreground = (mask != 0).astype(np.uint8)
    if len(np.unique(mask[foreground == 1])) > 1:
        raise ValueError(
            'make_trimap: mask must have one value beside 0, got '
            f'{len(np.unique(mask[foreground == 1]))}; compare it first, as in mask == label'
        )
    trimap = foreground * np.uint8(FOREGROUND)
    for side in (foreground, 1 - foreground):
        distance = cv2.distanceTransform(side, cv2.DIST_L2, cv2.DIST_MASK_PRECISE)
        trimap[(side == 1) & (distance <= width)] = UNKNOWN
    return trimap


def trimap_of_alpha(alpha: np.ndarray, fg_size: int, bg_size: int) -> np.ndarray:
    """Make a trimap of alpha: its 255 and its 0, each eroded by an ellipse.

    Args:
        alpha (np.ndarray): (H, W), in 0..255.
        fg_size (int): Diameter in pixels of the ellipse that erodes 255; 1 leaves it as it is.
        bg_size (int): That of the one that erodes 0.

    Returns:
        np.ndarray: uint8 (H, W) of 0, 128 and 255.
    """
    trimap = np.full(alpha.shape, UNKNOWN, np.uint8)
    for value, size in ((FOREGROUND, fg_size), (BACKGROUND, bg_size)):
        ellipse = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (size, size))
        trimap[cv2.erode((alpha == value).astype(np.uint8), ellipse) == 1] = value
    return trimap
