"""Where a position of a feature map lies on the image, and the other way round."""

from collections.abc import Sequence

import numpy as np

#: Height and width, in pixels of the image, of what a feature map covers: the image and padding.
Extent = tuple[float, float]


def to_pixels(position: Sequence, size: Sequence[int], extent: Extent) -> np.ndarray:
    """The point of the image on which a position of a feature map is centred.

    Args:
        position (Sequence): (..., 2), row and column; may be fractions.
        size (Sequence[int]): Height and width of the feature map.
        extent (Extent): What the map covers.

    Returns:
        np.ndarray: (..., 2), y and x; the first pixel is centred on 0.
    """
    return (np.asarray(position) + 0.5) * (np.array(extent) / size) - 0.5


def to_cell(pixel: Sequence[int], size: Sequence[int], extent: Extent) -> tuple[int, int]:
    """The position, row and column, of a feature map in which a pixel (y, x) lies."""
    cell = np.floor((np.asarray(pixel) + 0.5) * size / np.array(extent)).astype(int)
    row, column = np.clip(cell, 0, np.array(size) - 1).tolist()
    return row, column


def by(size: Sequence[int]) -> str:
    """A size in words, such as '12 x 16'."""
    return ' x '.join(map(str, size))


def boundary_near_centre(labels: np.ndarray) -> tuple[int, int]:
    """The pixel (row, column) nearest to the centre where a label map changes.

    Args:
        labels (np.ndarray): (H, W).

    Returns:
        tuple[int, int]: A pixel whose right or lower neighbour has another label; the centre if
        there is none.
    """
    differs = np.zeros(labels.shape, bool)
    differs[:, :-1] |= labels[:, :-1] != labels[:, 1:]
    differs[:-1] |= labels[:-1] != labels[1:]
    centre = np.array(labels.shape) // 2
    places = np.argwhere(differs)
    if len(places) == 0:
        places = centre[None]
    row, column = places[np.square(places - centre).sum(1).argmin()].tolist()
    return row, column
