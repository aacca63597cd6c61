"""Figure 13: the predictions of several models, and where they differ."""

from collections.abc import Sequence

import numpy as np
from matplotlib.figure import Figure
from matplotlib.patches import Patch

from ..engine.pictures import is_semantic
from .canvas import grid, panel_height, patches, show
from .data_samples import comparable_truth, draw_data_sample
from .input_image import InputImage
from .label_maps import DifferenceMap, compare_labels, label_map
from .model_run import ModelRun

_WIDTH = 3.4
_MAX_COLUMNS = 5
_MAX_CLASSES = 20


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
    classes = [run.meta['classes'] for run in runs]
    if any(other != classes[0] for other in classes):
        raise ValueError('predictions: the models must have the same classes to be compared')
    panels = prediction_panels(image, runs)
    difference = compare_predictions(image, runs)
    if difference is not None:
        several = len(runs) > 1
        panels.append(('where they differ' if several else 'where it is right', difference.picture))
    rows = -(-len(panels) // _MAX_COLUMNS)
    columns = -(-len(panels) // rows)
    figure, axes = grid(rows, columns, _WIDTH, panel_height(image.pixels, _WIDTH))
    for axis, (title, picture) in zip(axes.flat, panels, strict=False):
        show(axis, picture, title)
        axis.title.set_fontsize(11)
    if difference is not None:
        handles = case_patches(difference)
        title = panels[-1][0]
        figure.legend(handles=handles, loc='outside right center', title=title, fontsize=9)
    # mmdet's visualizer writes the names of classes into the picture.
    if is_semantic(runs[0].prediction):
        _add_class_legend(figure, image, runs)
    return figure


def prediction_panels(image: InputImage, runs: Sequence[ModelRun]) -> list[tuple[str, np.ndarray]]:
    """Draws the image, its ground truth if known, and each prediction.

    Args:
        image (InputImage): The image.
        runs (Sequence[ModelRun]): The models run on it.

    Returns:
        list[tuple[str, np.ndarray]]: Titles and pictures, drawn by mmseg's or mmdet's visualizer.
    """
    panels = [('image', image.pixels)]
    if image.truth is not None:
        truth = comparable_truth(image.truth, runs[0].prediction)
        drawn = draw_data_sample(truth, 'gt', image.pixels, runs[0].meta)
        panels.append(('ground truth', drawn))
    for run in runs:
        drawn = draw_data_sample(run.prediction, 'pred', image.pixels, run.meta)
        panels.append((run.name, drawn))
    return panels


def compare_predictions(image: InputImage, runs: Sequence[ModelRun]) -> DifferenceMap | None:
    """Compares predictions with the ground truth if known, otherwise with each other.

    Args:
        image (InputImage): The image.
        runs (Sequence[ModelRun]): The models run on it.

    Returns:
        DifferenceMap | None: See ``.label_maps.compare_labels``; None for a single model
        without a ground truth.
    """
    truth = None
    if image.truth is not None:
        truth = comparable_truth(image.truth, runs[0].prediction)
        truth = label_map(truth, 'gt', len(runs[0].meta['classes']))
    elif len(runs) < 2:
        return None
    return compare_labels({run.name: run.labels for run in runs}, truth)


def case_patches(difference: DifferenceMap) -> list[Patch]:
    """Makes a legend's handles for the cases that occur, with their share of the image."""
    shares = np.bincount(difference.cases.ravel(), minlength=len(difference.names))
    shares = shares / difference.cases.size
    occurring = np.flatnonzero(shares)
    names = [f'{difference.names[case]}: {shares[case]:.1%}' for case in occurring]
    return patches(names, [difference.colours[case] for case in occurring])


def _add_class_legend(figure: Figure, image: InputImage, runs: Sequence[ModelRun]) -> None:
    """Adds a legend of the most frequent classes of semantic maps, below the figure."""
    meta = runs[0].meta
    maps = [run.labels for run in runs]
    if image.truth is not None:
        maps.append(label_map(image.truth, 'gt', len(meta['classes'])))
    labels = np.concatenate([m.ravel() for m in maps])
    counts = np.bincount(labels[labels >= 0], minlength=len(meta['classes']))
    largest = [label for label in np.argsort(-counts)[:_MAX_CLASSES] if counts[label]]
    handles = patches(
        [meta['classes'][label] for label in largest],
        [np.array(meta['palette'][label]) / 255 for label in largest],
    )
    columns = max(1, min(len(handles), int(figure.get_figwidth() // 1.2)))
    # The layout would take its rows from the panels, and cut their titles.
    figure.set_figheight(figure.get_figheight() + 0.2 * -(-len(handles) // columns))
    place = dict(loc='outside lower center', ncols=columns)
    figure.legend(handles=handles, **place, fontsize=8, frameon=False)
