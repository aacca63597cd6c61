"""The pictures of the demos: what the models predict, and SAPA's kernels at a boundary."""

from collections.abc import Iterable, Sequence

import numpy as np
from torch import nn
from torch.utils.data import Dataset

from ..utils.files import whole_file
from ..visualization.canvas import draw_points, grid, mark, panel_height, show, to_pixels, zoom
from ..visualization.input_image import dataset_image
from ..visualization.kernels import compute_kernels
from ..visualization.label_maps import UNLABELLED, label_map
from ..visualization.model_run import run_model
from ..visualization.predictions_figure import (
    case_patches,
    compare_predictions,
    prediction_panels,
)

_REACH = 20  # pixels of the image around the kernels


def draw_comparison(
    models: dict[str, nn.Module], kernels_of: str, dataset: Dataset, index: int, path: str
) -> None:
    """Draw image, ground truth, two predictions, and kernels on both sides of a boundary.

    Args:
        models (dict[str, nn.Module]): Two segmentors by name.
        kernels_of (str): Name of the model whose kernels are drawn: those of the last of its
            upsamplers, which are SAPA's.
        dataset (Dataset): Validation set of mmseg, with ``metainfo['palette']``.
        index (int): Index of the sample.
        path (str): Where the PNG goes.

    Raises:
        ValueError: If the sample has no boundary to look at.
    """
    image, meta = dataset_image(dataset, index), dict(dataset.metainfo)
    runs = [
        run_model(name, model, dataset[index], image.pixels, meta) for name, model in models.items()
    ]
    run = runs[list(models).index(kernels_of)]
    truth = label_map(image.truth, 'gt', len(meta['classes']))
    call = run.upsampler_call(-1)
    size, low, extent = call.output.shape[2:], call.x.shape[2:], run.extent
    # Preferably where the model gets both sides right: there the kernels show how.
    right = np.where(run.labels == truth, truth, UNLABELLED)
    cells = find_boundary(right, size) or find_boundary(truth, size)
    if cells is None:
        raise ValueError(
            f'sample {index} has no boundary between two whole cells of the feature map'
        )

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
        axis.set_title(f'{kernels_of} kernel, {side}', fontsize=9)
    difference = compare_predictions(image, runs)
    show(axes[1, 3], difference.picture, 'who is right')
    handles = case_patches(difference)
    figure.legend(handles=handles, loc='outside lower right', ncols=4, fontsize=9)
    with whole_file(path) as partial:
        figure.savefig(partial, dpi=110)


def draw_panoptic(
    models: dict[str, nn.Module], dataset: Dataset, indices: Iterable[int], path: str
) -> None:
    """Draw images, true segments, and those that each model predicts, a row per image.

    Args:
        models (dict[str, nn.Module]): Panoptic segmentors of mmdet by name.
        dataset (Dataset): mmdet's ``CocoPanopticDataset``, with ``metainfo['palette']``.
        indices (Iterable[int]): Indices of the samples; those that it lacks are left out.
        path (str): Where the PNG goes.
    """
    meta, rows = dict(dataset.metainfo), []
    for index in indices:
        if index < len(dataset):
            image = dataset_image(dataset, index)
            runs = [
                run_model(name, model, dataset[index], image.pixels, meta)
                for name, model in models.items()
            ]
            rows.append(prediction_panels(image, runs))
    height = panel_height(rows[0][0][1], 3.4)
    figure, axes = grid(len(rows), 2 + len(models), 3.4, height)
    for row, panels in zip(axes, rows, strict=True):
        for axis, (title, picture) in zip(row, panels, strict=True):
            show(axis, picture, title)
    with whole_file(path) as partial:
        figure.savefig(partial, dpi=110)


def find_boundary(labels: np.ndarray, grid: Sequence[int]) -> tuple[tuple[int, int], ...] | None:
    """Find two neighbouring cells of a feature map on different sides of a boundary.

    Args:
        labels (np.ndarray): Label map (H, W); UNLABELLED is no label.
        grid (Sequence[int]): Height and width of the feature map.

    Returns:
        tuple | None: (row, column) of the two cells nearest to the centre of the map that touch,
        and are each of one label, and not the same; None if there are none.
    """
    rows, columns = grid
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
