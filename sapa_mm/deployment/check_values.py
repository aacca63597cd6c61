"""Compare an exported file with its model on real images of several sizes."""

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from statistics import median

import numpy as np
import torch

from ..utils.text import markdown_table, one_line
from .exported_model import MAX_DIFFERENT_PIXELS, Difference, ExportedModel
from .formats import Run

#: A normalised image, float32 (C, H, W), and what else a file takes beside it, of one size.
Inputs = tuple[np.ndarray, ...]

_NUM_SIZES, _MIN_CROPS, _CROP_STEPS = 5, 2, 8
# Programs of torch.export fail where SegFormer reduces a side to a single value.
_MIN_CROP_SIDE = 64
_REPEATS = 3


@dataclass(frozen=True)
class Comparison:
    """A file compared with its model on one image.

    Attributes:
        size (tuple[int, int]): Height and width of the image.
        difference (Difference): The difference.
        seconds_torch (float): Median time of the model.
        seconds_file (float): Median time of the file, with as many threads.
    """

    size: tuple[int, int]
    difference: Difference
    seconds_torch: float
    seconds_file: float


def is_accurate(comparisons: Sequence[Comparison]) -> bool:
    """Tells whether a file computes the same as its model.

    Args:
        comparisons (Sequence[Comparison]): One for each image.

    Returns:
        bool: Whether the values of each image are close, and few pixels of all images together
        mean another thing. (In a single small image, one pixel with two equally likely classes
        could exceed the limit.)
    """
    pixels = [comparison.size[0] * comparison.size[1] for comparison in comparisons]
    different = sum(
        comparison.difference.different_pixels * count
        for comparison, count in zip(comparisons, pixels, strict=True)
    )
    close = all(comparison.difference.is_close for comparison in comparisons)
    return close and different <= MAX_DIFFERENT_PIXELS * sum(pixels)


def add_crops(images: Sequence[Inputs]) -> list[Inputs]:
    """Adds crops, so that the images have at least five sizes, some with odd sides.

    Args:
        images (Sequence[Inputs]): The images.

    Returns:
        list[Inputs]: The images, and crops of the largest.

    Raises:
        ValueError: If none is large enough for crops.
    """
    largest = max(images, key=lambda inputs: inputs[0].size)
    h, w = largest[0].shape[1:]
    sizes = {inputs[0].shape[1:] for inputs in images}
    crops = {}
    for step in range(_CROP_STEPS):
        # The sides of images are usually even: these are odd.
        height = max(h - 1 - step * (h // _CROP_STEPS), _MIN_CROP_SIDE)
        width = max(w - 3 - step * (w // _CROP_STEPS), _MIN_CROP_SIDE)
        if min(h, w) > _MIN_CROP_SIDE and (height, width) not in sizes:
            crops[height, width] = tuple(part[:, :height, :width] for part in largest)
    needed = max(_NUM_SIZES - len(sizes), _MIN_CROPS)
    if len(crops) < needed:
        raise ValueError(
            f'images: those of at most {h}x{w} (once resized) are too small to check '
            f'{_NUM_SIZES} sizes on'
        )
    return [*images, *[*crops.values()][:needed]]


def check_sizes(images: Sequence[Inputs], min_size: Sequence[int]) -> None:
    """Checks that images are not too small.

    Args:
        images (Sequence[Inputs]): The images.
        min_size (Sequence[int]): Smallest height and width that a graph takes.

    Raises:
        ValueError: If one is.
    """
    for image, *_ in images:
        if image.shape[1] < min_size[0] or image.shape[2] < min_size[1]:
            raise ValueError(
                f'images: one of {image.shape[1]}x{image.shape[2]} (once resized) is too small to '
                f'check on: the file takes {min_size[0]}x{min_size[1]} or more'
            )


@torch.no_grad()
def compare(exported: ExportedModel, run: Run, images: Sequence[Inputs]) -> Iterator[Comparison]:
    """Compares a file with its model.

    Args:
        exported (ExportedModel): The model.
        run (Run): Runs the file.
        images (Sequence[Inputs]): The images.

    Yields:
        Comparison: One for each image.

    Raises:
        ValueError: If the file cannot be run on an image.
    """
    for inputs in images:
        batch, (h, w) = [np.ascontiguousarray(part[None]) for part in inputs], inputs[0].shape[1:]
        tensors = [torch.from_numpy(part) for part in batch]
        expected, seconds_torch = _time(lambda tensors=tensors: exported(*tensors).numpy())
        try:
            found, seconds_file = _time(lambda batch=batch: run(batch))
        except Exception as error:
            # The runtime may raise anything.
            raise ValueError(f'the file fails on {h}x{w} pixels: {one_line(error)}') from error
        difference = exported.compare(found, expected)
        yield Comparison((h, w), difference, seconds_torch, seconds_file)


def format_comparisons(
    comparisons: Sequence[Comparison], columns: Sequence[str], runtime: str
) -> str:
    """Formats comparisons as a Markdown table.

    Args:
        comparisons (Sequence[Comparison]): One for each image.
        columns (Sequence[str]): What the cells of the differences are.
        runtime (str): Name of the file's runtime.

    Returns:
        str: The table.
    """
    rows = [
        (
            f'{comparison.size[0]}x{comparison.size[1]}',
            *comparison.difference.cells,
            f'{1e3 * comparison.seconds_torch:.0f} ms',
            f'{1e3 * comparison.seconds_file:.0f} ms',
        )
        for comparison in comparisons
    ]
    return markdown_table(['image', *columns, 'torch', runtime], rows)


def _time(run) -> tuple[np.ndarray, float]:
    seconds = []
    result = None
    for _ in range(_REPEATS):
        result = None  # so that two do not take memory at once
        start = time.perf_counter()
        result = run()
        seconds.append(time.perf_counter() - start)
    return result, median(seconds)
