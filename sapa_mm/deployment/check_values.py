"""An exported file held against the model that it was made of, on real images of several sizes."""

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from statistics import median

import numpy as np
import torch

from .formats import Run
from .segmentor import Segmentor

#: Of the pixels, at most so many may be of another class.
MAX_SHARE = 1e-4
#: Logits may differ by so much of the largest.
MAX_DIFFERENCE = 1e-3
_SIZES, _PIECES = 5, 2
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

    @property
    def fits(self) -> bool:
        """Whether the two agree. (NaN does not.)"""
        return self.difference <= MAX_DIFFERENCE * self.scale and self.share <= MAX_SHARE


def five_sizes(images: Sequence[np.ndarray], least: Sequence[int]) -> list[np.ndarray]:
    """Images of at least five sizes, odd ones among them.

    Args:
        images (Sequence[np.ndarray]): Normalised images (3, H, W).
        least (Sequence[int]): Height and width below which none is to go.

    Returns:
        list[np.ndarray]: The images, and pieces of the first where they are fewer than five.
    """
    sized = list(images)
    h, w = images[0].shape[1:]
    sides = ((h - 1, w - 3), (h * 3 // 4 - 1, w), (h, w * 2 // 3), (h * 2 // 3, w - 1))
    for height, width in sides[: max(_SIZES - len(images), _PIECES)]:
        height, width = max(height, least[0]), max(width, least[1])
        sized.append(images[0][:, :height, :width])
    return sized


@torch.no_grad()
def compare(segmentor: Segmentor, run: Run, images: Sequence[np.ndarray]) -> Iterator[Agreement]:
    """Compares a file with the model that it was made of.

    Args:
        segmentor (Segmentor): The model.
        run (Run): What runs the file.
        images (Sequence[np.ndarray]): Normalised images, float32 (3, H, W).

    Yields:
        Agreement: Of each image.
    """
    for image in images:
        batch = np.ascontiguousarray(image[None])
        tensor = torch.from_numpy(batch)
        wanted, seconds_torch = _time(lambda tensor=tensor: segmentor(tensor).numpy())
        logits, seconds_file = _time(lambda batch=batch: run(batch))
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
