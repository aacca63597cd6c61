"""Figure 13: the predictions of several models, and where they differ."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.figure import Figure

from .canvas import grid, panel_height, show
from .comparisons import DifferenceMap, ErrorMap
from .input_image import InputImage
from .model_run import ModelRun

_WIDTH = 3.4
_MAX_COLUMNS = 5


def draw_predictions(image: InputImage, runs: Sequence[ModelRun]) -> Figure:
    """Draws an image, its ground truth if known, predictions, and where these differ.

    Args:
        image (InputImage): The image.
        runs (Sequence[ModelRun]): The models run on it.

    Returns:
        Figure: The figure.

    Raises:
        ValueError: If the models do not have the same classes.
    """
    task, samples = runs[0].task, (image.truth, _by_name(runs))
    task.check_alike([run.meta for run in runs])
    panels = prediction_panels(image, runs)
    difference = compare_predictions(image, runs)
    predictions_end = len(panels)
    if difference is not None:
        panels.append((difference.title, difference.picture))
    rows = -(-len(panels) // _MAX_COLUMNS)
    columns = -(-len(panels) // rows)
    figure, axes = grid(rows, columns, _WIDTH, panel_height(image.pixels, _WIDTH))
    for axis, (title, picture) in zip(axes.flat, panels, strict=False):
        show(axis, picture, title)
        axis.title.set_fontsize(11)
    task.add_color_bar(figure, axes.flat[predictions_end - 1], *samples)
    if difference is not None:
        difference.explain(figure, axes.flat[predictions_end])
    task.add_legend(figure, *samples, runs[0].meta)
    return figure


def prediction_panels(image: InputImage, runs: Sequence[ModelRun]) -> list[tuple[str, np.ndarray]]:
    """Draws the image, a trimap if there is one, the ground truth if known, and each prediction.

    Args:
        image (InputImage): The image.
        runs (Sequence[ModelRun]): The models run on it.

    Returns:
        list[tuple[str, np.ndarray]]: Titles and pictures, see ``Task.draw``.
    """
    truth, drawn = runs[0].task.draw(image.pixels, image.truth, _by_name(runs), runs[0].meta)
    given = runs[0].task.inputs(image.pixels, runs[0].prediction)
    panels = [('image', image.pixels), *given]
    if truth is not None:
        panels.append(('ground truth', truth))
    return panels + [(run.name, picture) for run, picture in zip(runs, drawn, strict=True)]


def compare_predictions(
    image: InputImage, runs: Sequence[ModelRun]
) -> DifferenceMap | ErrorMap | None:
    """Compares predictions with the ground truth if known, otherwise with each other.

    Args:
        image (InputImage): The image.
        runs (Sequence[ModelRun]): The models run on it.

    Returns:
        DifferenceMap | ErrorMap | None: See ``Task.compare``; None for a single model without a
        ground truth.
    """
    return runs[0].task.compare(image.truth, _by_name(runs), runs[0].meta)


def _by_name(runs: Sequence[ModelRun]) -> dict[str, Any]:
    return {run.name: run.prediction for run in runs}
