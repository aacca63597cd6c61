"""Run-length codes of COCO's masks, for many masks at once."""

import re
from collections.abc import Sequence

import numpy as np

# The characters of a compressed code hold six bits each. After one with the highest bit set,
# from P on, another follows.
_FIRST = 48
_CODE = re.compile('[0-o]*[0-O]')


def decode_all_counts(texts: Sequence[str]) -> list[np.ndarray | None]:
    """Decode compressed counts, which pycocotools reads past their end if they are damaged.

    Args:
        texts (Sequence[str]): The codes.

    Returns:
        list[np.ndarray or None]: The lengths of the runs of each mask, int64, or None for a text
        that is no code.
    """
    decoded: list[np.ndarray | None] = [None] * len(texts)
    chosen = [index for index, text in enumerate(texts) if _CODE.fullmatch(text)]
    if not chosen:
        return decoded
    joined = ''.join(texts[index] for index in chosen).encode()
    codes = np.frombuffer(joined, np.uint8).astype(np.int64) - _FIRST
    # Five bits each, the lowest first; the last character of a number has bit 32 unset.
    ends = np.flatnonzero((codes & 32) == 0)
    starts = np.append(0, ends[:-1] + 1)
    place = np.arange(len(codes)) - np.repeat(starts, ends - starts + 1)
    numbers = np.add.reduceat((codes & 31) << np.minimum(5 * place, 58), starts)
    numbers -= np.where(codes[ends] & 16, 1 << np.minimum(5 * (place[ends] + 1), 58), 0)
    mask = np.repeat(np.arange(len(chosen)), [len(texts[index]) for index in chosen])[ends]
    first = np.searchsorted(mask, np.arange(len(chosen)))
    # From the fourth number on, each is the difference from the one before the last.
    index = np.arange(len(numbers)) - first[mask]
    for turn in ((index % 2 == 1), (index % 2 == 0) & (index > 0)):
        sums = np.cumsum(numbers[turn])
        owner = mask[turn]
        begins = np.flatnonzero(np.diff(owner, prepend=-1))
        before = np.append(0, sums)[begins]
        numbers[turn] = sums - np.repeat(before, np.diff(begins, append=len(sums)))
    for where, start, end in zip(chosen, first, [*first[1:], len(numbers)], strict=True):
        decoded[where] = numbers[start:end]
    return decoded


def bounds_of_runs(counts: Sequence[np.ndarray], heights: Sequence[int] | np.ndarray) -> np.ndarray:
    """Find the bounds of masks.

    Args:
        counts (Sequence[np.ndarray]): The lengths of the runs of each mask, of pixels outside and
            inside in turn, column by column.
        heights (Sequence[int]): Their heights in pixels.

    Returns:
        np.ndarray: Left, top, right and bottom of each in pixels, float64 (N, 4), right and bottom
        excluded; NaN for a mask without pixels.
    """
    lengths = np.array([len(one) for one in counts], np.int64)
    mask = np.repeat(np.arange(len(counts)), lengths)
    flat = np.concatenate([np.zeros(0, np.int64), *counts])
    totals = np.cumsum(flat)
    offsets = np.concatenate([[0], totals])[np.cumsum(lengths) - lengths]
    inside = (np.arange(len(flat)) - (np.cumsum(lengths) - lengths)[mask]) % 2 == 1
    inside &= flat > 0
    mask, flat, totals = mask[inside], flat[inside], totals[inside]
    height = np.asarray(heights, np.int64)[mask]
    last = totals - offsets[mask] - 1
    left, top = np.divmod(last - flat + 1, height)
    right, bottom = np.divmod(last, height)
    several = left < right  # such a run reaches the bottom, and the next column's top
    top, bottom = np.where(several, 0, top), np.where(several, height - 1, bottom)
    bounds = np.full((len(counts), 4), np.nan)
    begins = np.flatnonzero(np.diff(mask, prepend=-1))
    if len(begins):
        owners = mask[begins]
        bounds[owners, 0] = np.minimum.reduceat(left, begins)
        bounds[owners, 1] = np.minimum.reduceat(top, begins)
        bounds[owners, 2] = np.maximum.reduceat(right, begins) + 1
        bounds[owners, 3] = np.maximum.reduceat(bottom, begins) + 1
    return bounds
