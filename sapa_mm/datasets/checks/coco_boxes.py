"""Boxes in COCO files that are not what they should be: [x, y, width, height] in pixels."""

from collections.abc import Iterator

import numpy as np

from ...utils.coco_file import CocoFile
from .report import ReportLine, has_errors

_ORDER = '[x, y, width, height]'


def find_repeated_boxes(file: CocoFile) -> Iterator[ReportLine]:
    """Find annotations that are there twice, as where two exports were joined.

    Args:
        file (CocoFile): A file.

    Yields:
        ReportLine: A note if there are more than single ones, which good files have, too.
    """
    keys = np.column_stack([file.image, file.category, file.box])[~file.crowd]
    order = np.lexsort(keys.T)
    repeated = (np.diff(keys[order], axis=0) == 0).all(1).sum()
    if 50 * repeated > len(keys):
        text = f'{repeated:,} of {len(keys):,} annotations repeat the image, class and box of '
        yield ReportLine('note', f'{text}another')


def find_wrong_boxes(file: CocoFile) -> Iterator[ReportLine]:
    """Find boxes in other units or another order than [x, y, width, height] in pixels.

    Args:
        file (CocoFile): A file whose images and boxes are all there.

    Yields:
        ReportLine: An error if the boxes of a file seem to be meant otherwise, notes on others.
    """
    box, size = file.box, file.sizes[file.image]
    total = len(box)
    unit = (box >= 0).all(1) & (box <= 1).all(1)
    if 2 * unit.sum() > total and (size > 8).all():
        text = f'{unit.sum():,} of {total:,} boxes are in 0..1, must be in pixels'
        yield ReportLine('error', text)
        return
    a, b, c, d = box.T
    corners = {
        '[x, y, width, height]': (a, b, a + c, b + d),
        '[y, x, height, width]': (b, a, b + d, a + c),
        '[x1, y1, x2, y2]': (a, b, c, d),
        '[center x, center y, width, height]': (a - c / 2, b - d / 2, a + c / 2, b + d / 2),
    }
    readings = {order: np.stack(sides, 1) for order, sides in corners.items()}
    off = {order: _is_off(sides, file.mask_bounds) for order, sides in readings.items()}
    has_mask = ~np.isnan(file.mask_bounds).any(1)
    lines = list(_compare_boxes(file, off, has_mask, 'do not fit their masks'))
    if not has_errors(lines):
        out = {order: _is_outside(sides, size) for order, sides in readings.items()}
        lines += _compare_boxes(file, out, np.ones(total, bool), 'reach out of their images')
    yield from lines


def _compare_boxes(
    file: CocoFile, wrong: dict[str, np.ndarray], where: np.ndarray, text: str
) -> Iterator[ReportLine]:
    """Count the boxes that are wrong if they are read as they should be, and in other orders."""
    counts = {order: int((rows & where).sum()) for order, rows in wrong.items()}
    own, total = counts.pop(_ORDER), int(where.sum())
    if not own:
        return
    row = int(np.flatnonzero(wrong[_ORDER] & where)[0])
    shown = [int(side) if side % 1 == 0 else side for side in file.box[row].tolist()]
    image = file.names[file.image[row]]
    text = f'{own:,} of {total:,} boxes {text}, the first is {shown} in {image}'
    order = min(counts, key=lambda key: counts[key])
    kind = 'note'
    if own >= 5 and 20 * own > total and 10 * counts[order] <= own:
        kind = 'error'
        text += f'; they would as {order}, must be {_ORDER}'
    elif 2 * own > total:
        kind = 'error'
    yield ReportLine(kind, text)


def _is_outside(sides: np.ndarray, size: np.ndarray) -> np.ndarray:
    """Whether a box is empty or reaches out of its image; it may be rounded."""
    out = (sides[:, :2] < -1) | (sides[:, 2:] > size + 1) | (sides[:, 2:] <= sides[:, :2])
    return out.any(1)


def _is_off(sides: np.ndarray, bounds: np.ndarray) -> np.ndarray:
    """Whether a box differs from the bounds of its mask; those of parts that are hidden may."""
    low, high = np.maximum(sides[:, :2], bounds[:, :2]), np.minimum(sides[:, 2:], bounds[:, 2:])
    both = np.maximum(high - low, 0).prod(1)
    areas = [np.maximum(one[:, 2:] - one[:, :2], 0).prod(1) for one in (sides, bounds)]
    near = (np.abs(sides - bounds) <= 2).all(1)
    return ~near & ~(3 * both >= areas[0] + areas[1] - both)
