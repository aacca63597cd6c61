"""The pictures of the demos: what two models predict of the same images."""

from collections.abc import Callable, Sequence

import numpy as np
from matplotlib.figure import Figure
from torch import nn
from torch.utils.data import Dataset

from ..engine.depth_colors import ERROR_COLORS, color_error
from ..utils.files import whole_file
from ..visualization.canvas import draw_points, grid, mark, panel_height, show, to_pixels, zoom
from ..visualization.comparisons import add_bar
from ..visualization.input_image import InputImage, dataset_image
from ..visualization.kernels import compute_kernels
from ..visualization.label_maps import UNLABELLED, label_map
from ..visualization.model_run import ModelRun, run_model
from ..visualization.predictions_figure import compare_predictions, prediction_panels

_REACH = 20  # pixels of the image around the kernels


def draw_kernels(models: dict[str, nn.Module], dataset: Dataset, path: str) -> None:
    """Draw image, truth, two predictions, and the last model's last kernels at a boundary."""
    image, runs = _run_models(models, dataset, index=0)
    run = runs[-1]
    truth = label_map(image.truth, 'gt', len(run.meta['classes']))
    call = run.upsampler_call(-1)
    size, low, extent = call.output.shape[2:], call.x.shape[2:], run.extent
    # Preferably where the model gets both sides right.
    right = np.where(run.regions == truth, truth, UNLABELLED)
    cells = find_boundary(right, size) or find_boundary(truth, size)
    if cells is None:
        raise ValueError('sample 0 has no boundary between two whole cells of the feature map')

    figure, axes = grid(2, 4, 3.5, 3.7)
    for axis, (title, picture) in zip(axes[0], prediction_panels(image, runs), strict=True):
        show(axis, picture, title)
    centres = to_pixels(cells, size, extent)
    zoom(axes[1, 0], image.pixels, truth, centres[0], _REACH)
    axes[1, 0].set_title('two positions at a boundary', fontsize=9)
    for centre in centres:
        mark(axes[1, 0], centre)
    kernels = compute_kernels(call.upsampler, call.x, call.guide)
    for axis, side, cell, centre in zip(
        axes[1, 1:3], ('one side', 'other side'), cells, centres, strict=True
    ):
        kernel = kernels.at(*cell)
        zoom(axis, image.pixels, truth, centre, _REACH)
        draw_points(axis, kernel.points, kernel.weights, low, extent)
        mark(axis, centre)
        axis.set_title(f'{run.name} kernel, {side}', fontsize=9)
    difference = compare_predictions(image, runs)
    show(axes[1, 3], difference.picture, 'who is right')
    figure.legend(handles=difference.handles(), loc='outside lower right', ncols=4, fontsize=9)
    with whole_file(path) as partial:
        figure.savefig(partial, dpi=110)


def draw_panoptic(models: dict[str, nn.Module], dataset: Dataset, path: str) -> None:
    """Draw images with their true segments and each model's predictions, a row per image."""
    rows = [prediction_panels(*sample) for sample in _first_samples(models, dataset)]
    _save_rows(rows, path)


def draw_errors(models: dict[str, nn.Module], dataset: Dataset, path: str) -> None:
    """Draw images with the truth, what each model predicts and its errors, a row per image.

    The predictions of a row are on one scale, and so are the errors.
    """
    rows, bars = [], []
    for image, runs in _first_samples(models, dataset):
        errors = [compare_predictions(image, [run]) for run in runs]
        high = max(error.high for error in errors)
        rows.append(
            prediction_panels(image, runs)
            + [
                (f'error of {run.name}', color_error(error.values, high))
                for run, error in zip(runs, errors, strict=True)
            ]
        )
        bars.append((runs, image, high, errors[0].unit))

    def add_bars(figure: Figure, axes: np.ndarray) -> None:
        for row, (runs, image, high, unit) in zip(axes, bars, strict=True):
            predictions = {run.name: run.prediction for run in runs}
            last = row[-1 - len(runs)]
            runs[0].task.add_color_bar(figure, last, image.truth, predictions)
            add_bar(figure, row[-1], 0, high, ERROR_COLORS, unit)

    _save_rows(rows, path, add_bars)


def _first_samples(
    models: dict[str, nn.Module], dataset: Dataset
) -> list[tuple[InputImage, list[ModelRun]]]:
    return [_run_models(models, dataset, index) for index in range(min(3, len(dataset)))]


def _save_rows(
    rows: Sequence[Sequence[tuple[str, np.ndarray]]],
    path: str,
    complete: Callable[[Figure, np.ndarray], None] | None = None,
) -> None:
    """Save a figure of rows of panels, which a function may complete."""
    height = panel_height(rows[0][0][1], 3.4)
    figure, axes = grid(len(rows), len(rows[0]), 3.4, height)
    for row, panels in zip(axes, rows, strict=True):
        for axis, (title, picture) in zip(row, panels, strict=True):
            show(axis, picture, title)
    if complete is not None:
        complete(figure, axes)
    with whole_file(path) as partial:
        figure.savefig(partial, dpi=110)


def _run_models(
    models: dict[str, nn.Module], dataset: Dataset, index: int
) -> tuple[InputImage, list[ModelRun]]:
    image, meta = dataset_image(dataset, index), dict(dataset.metainfo)
    return image, [
        run_model(name, model, dataset[index], image.pixels, meta) for name, model in models.items()
    ]


def find_boundary(labels: np.ndarray, size: Sequence[int]) -> tuple[tuple[int, int], ...] | None:
    """Find two neighbouring cells of a feature map on different sides of a boundary.

    Args:
        labels (np.ndarray): Label map (H, W); pixels may be UNLABELLED.
        size (Sequence[int]): Height and width of the feature map.

    Returns:
        tuple | None: (row, column) of the two adjacent cells, each of a single label and these
        different, that are nearest to the centre of the map; None if there are none.
    """
    rows, columns = size
    step_y, step_x = labels.shape[0] // rows, labels.shape[1] // columns
    cells = labels[: rows * step_y, : columns * step_x].reshape(rows, step_y, columns, step_x)
    low, high = cells.min((1, 3)), cells.max((1, 3))
    is_pure = (low == high) & (low != UNLABELLED)
    is_boundary = is_pure[:, :-1] & is_pure[:, 1:] & (low[:, :-1] != low[:, 1:])
    candidates = np.argwhere(is_boundary)
    if not len(candidates):
        return None
    centre = np.array([rows, columns]) / 2
    row, column = candidates[np.abs(candidates - centre).sum(1).argmin()].tolist()
    return (row, column), (row, column + 1)
