"""An exported file held against the model that it was made of, on real images of several sizes."""

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from statistics import median

import numpy as np
import torch

from .formats import Run
from .segmentor import Segmentor

#: Of the pixels of all images, at most so many may be of another class.
MAX_SHARE = 1e-4
#: Logits may differ by so much of the largest.
MAX_DIFFERENCE = 1e-3
_SIZES, _PIECES, _STEPS = 5, 2, 8
# Of pieces: where SegFormer reduces a side to a single value, programs of torch.export end.
_LEAST = 64
_REPEATS = 3


@dataclass(frozen=True)
class Agreement:
    """How a file agrees with the model on one image.

    Attributes:
        size (tuple[int, int]): Height and width of the image.
        difference (float): Largest difference of a logit.
        scale (float): Largest logit.
        share (float): Share of the pixels whose class differs.
        seconds_torch (float): Median time of the model.
        seconds_file (float): That of the file, on as many threads.
    """

    size: tuple[int, int]
    difference: float
    scale: float
    share: float
    seconds_torch: float
    seconds_file: float


def fits(agreements: Sequence[Agreement]) -> bool:
    """Whether file and model agree. (NaN does not.)

    Args:
        agreements (Sequence[Agreement]): Of each image.

    Returns:
        bool: Whether logits are near on each, and classes the same on all together: in a small
        image a single pixel, of two classes that are level, is more than the share.
    """
    pixels = [one.size[0] * one.size[1] for one in agreements]
    other = sum(one.share * count for one, count in zip(agreements, pixels, strict=True))
    near = all(one.difference <= MAX_DIFFERENCE * one.scale for one in agreements)
    return near and other <= MAX_SHARE * sum(pixels)


def five_sizes(images: Sequence[np.ndarray], least: Sequence[int]) -> list[np.ndarray]:
    """Images of at least five sizes, odd ones among them.

    Args:
        images (Sequence[np.ndarray]): Normalised images (3, H, W).
        least (Sequence[int]): Height and width that the graph needs at least.

    Returns:
        list[np.ndarray]: The images, and pieces of the largest.

    Raises:
        ValueError: If an image is smaller than the least, or none is large enough for pieces.
    """
    for image in images:
        if image.shape[1] < least[0] or image.shape[2] < least[1]:
            raise ValueError(
                f'an image of {image.shape[1]}x{image.shape[2]} (once resized) is too small to '
                f'check on: it takes {least[0]}x{least[1]}'
            )
    largest = max(images, key=np.size)
    h, w = largest.shape[1:]
    pieces = {}
    for step in range(_STEPS):
        # Sides of images are even, as a rule: these are odd.
        height = max(h - 1 - step * (h // _STEPS), _LEAST)
        width = max(w - 3 - step * (w // _STEPS), _LEAST)
        pieces[height, width] = largest[:, :height, :width]
    sizes = {image.shape[1:] for image in images}
    pieces = [piece for size, piece in pieces.items() if size not in sizes and min(h, w) > _LEAST]
    needed = max(_SIZES - len(sizes), _PIECES)
    if len(pieces) < needed:
        raise ValueError(
            f'images of at most {h}x{w} (once resized) are too small to check five sizes on'
        )
    return [*images, *pieces[:needed]]


@torch.no_grad()
def compare(segmentor: Segmentor, run: Run, images: Sequence[np.ndarray]) -> Iterator[Agreement]:
    """Compares a file with the model that it was made of.

    Args:
        segmentor (Segmentor): The model.
        run (Run): What runs the file.
        images (Sequence[np.ndarray]): Normalised images, float32 (3, H, W).

    Yields:
        Agreement: Of each image.

    Raises:
        ValueError: If the file cannot be run on an image.
    """
    for image in images:
        batch, (h, w) = np.ascontiguousarray(image[None]), image.shape[1:]
        tensor = torch.from_numpy(batch)
        wanted, seconds_torch = _time(lambda tensor=tensor: segmentor(tensor).numpy())
        try:
            logits, seconds_file = _time(lambda batch=batch: run(batch))
        except Exception as error:
            # Of whatever runs it.
            reason = f'{type(error).__name__}: {str(error).strip()}'.partition('\n')[0]
            raise ValueError(f'the file fails on {h}x{w} pixels: {reason}') from error
        yield Agreement(
            size=image.shape[1:],
            difference=float(np.abs(logits - wanted).max()),
            scale=float(np.abs(wanted).max()),
            share=float((logits.argmax(1) != wanted.argmax(1)).mean()),
            seconds_torch=seconds_torch,
            seconds_file=seconds_file,
        )


def format_agreements(agreements: Sequence[Agreement], runtime: str) -> str:
    """Formats the comparison as a Markdown table.

    Args:
        agreements (Sequence[Agreement]): Of each image.
        runtime (str): What ran the file.

    Returns:
        str: The table.
    """
    differences = 'largest difference of logits | largest logit | pixels of another class'
    lines = [f'| image | {differences} | torch | {runtime} |', '|---' * 6 + '|']
    for one in agreements:
        lines.append(
            f'| {one.size[0]}x{one.size[1]} | {one.difference:.1e} | {one.scale:.1f} | '
            f'{100 * one.share:.4f} % | {1e3 * one.seconds_torch:.0f} ms | '
            f'{1e3 * one.seconds_file:.0f} ms |'
        )
    return '\n'.join(lines)


def _time(run) -> tuple[np.ndarray, float]:
    seconds = []
    for _ in range(_REPEATS):
        start = time.perf_counter()
        result = run()
        seconds.append(time.perf_counter() - start)
    return result, median(seconds)
