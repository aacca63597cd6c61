"""One picture of what two models predict, and of SAPA's kernels around a boundary."""

from collections.abc import Sequence

import mmcv
import numpy as np
import torch
from matplotlib.figure import Figure
from mmengine.dataset import pseudo_collate
from torch import nn
from torch.utils.data import Dataset

from .kernels import Kernel, kernel_at, record_inputs

_IGNORED = 255
_MARGIN = 20  # pixels of the image around the kernels


@torch.no_grad()
def predict(model: nn.Module, sample: dict) -> np.ndarray:
    """Predicts the label map (H, W) of one sample of a dataset."""
    model.eval()
    prediction = model.test_step(pseudo_collate([sample]))[0]
    return prediction.pred_sem_seg.data[0].cpu().numpy()


def draw_comparison(
    models: dict[str, nn.Module], kernels_of: str, dataset: Dataset, index: int, path: str
) -> None:
    """Draws image, ground truth, two predictions, and kernels on both sides of a boundary.

    Args:
        models (dict[str, nn.Module]): Two segmentors by name. The one whose kernels are drawn has
            a head with SAPA ``upsamplers``; the last of them is looked at.
        kernels_of (str): Name of that one.
        dataset (Dataset): Validation set of mmseg, with ``metainfo['palette']``.
        index (int): Which of its samples.
        path (str): Where the PNG goes.

    Raises:
        ValueError: If the sample has no boundary to look at.
    """
    sample = dataset[index]
    # The image as it was before the pipeline resized it: of the annotation's size.
    image = mmcv.imread(sample['data_samples'].img_path, channel_order='rgb')
    truth = sample['data_samples'].gt_sem_seg.data[0].numpy()
    upsampler = models[kernels_of].decode_head.upsamplers[-1]
    with record_inputs(upsampler) as calls:
        predictions = {name: predict(model, sample) for name, model in models.items()}
    x, guide = calls[0]
    # Rather where the model gets both sides right: there the kernels show how.
    right = np.where(predictions[kernels_of] == truth, truth, _IGNORED)
    cells = find_boundary(right, guide.shape[2:]) or find_boundary(truth, guide.shape[2:])
    if cells is None:
        raise ValueError(
            f'sample {index} has no boundary between two whole cells of the feature map'
        )
    marks = dict(zip(('one side', 'other side'), cells, strict=True))
    palette = np.array(dataset.metainfo['palette'], dtype=np.uint8)

    figure = Figure(figsize=(14, 7.4), layout='constrained')
    axes = figure.subplots(2, 4)
    top = {'image': image, 'ground truth': _colour(truth, palette)}
    top.update({name: _colour(label, palette) for name, label in predictions.items()})
    for axis, (title, picture) in zip(axes[0], top.items(), strict=True):
        axis.imshow(picture)
        axis.set_title(title)

    size = np.array(truth.shape)
    centres = {side: _to_pixels(cell, size / guide.shape[2:]) for side, cell in marks.items()}
    _zoom_to(axes[1, 0], image, truth, centres['one side'])
    for marker, (y, x_pixel) in zip('os', centres.values(), strict=True):
        axes[1, 0].plot(x_pixel, y, marker, ms=11, mfc='none', mec='red')
    axes[1, 0].set_title('two positions at a boundary')
    for axis, (side, cell) in zip(axes[1, 1:3], marks.items(), strict=True):
        kernel = kernel_at(upsampler, x, guide, *cell)
        _zoom_to(axis, image, truth, centres[side])
        _draw_kernel(axis, kernel, centres[side], size / x.shape[2:])
        axis.set_title(f'{kernels_of} kernel, {side}')
    _draw_difference(axes[1, 3], list(predictions), list(predictions.values()), truth)
    for axis in axes.flat:
        axis.set_axis_off()
    figure.savefig(path, dpi=110)


def find_boundary(labels: np.ndarray, grid: Sequence[int]) -> tuple[tuple[int, int], ...] | None:
    """Finds two neighbouring cells of a feature map on different sides of a boundary.

    Args:
        labels (np.ndarray): Label map (H, W); 255 is no label.
        grid (Sequence[int]): Height and width of the feature map.

    Returns:
        tuple | None: (row, column) of the two cells nearest to the centre of the map that touch,
        and are each of one label, and not the same; None if there are none.
    """
    rows, columns = grid
    step_y, step_x = labels.shape[0] // rows, labels.shape[1] // columns
    cells = labels[: rows * step_y, : columns * step_x].reshape(rows, step_y, columns, step_x)
    low, high = cells.min((1, 3)), cells.max((1, 3))
    pure = (low == high) & (low != _IGNORED)
    found = pure[:, :-1] & pure[:, 1:] & (low[:, :-1] != low[:, 1:])
    if not found.any():
        return None
    candidates = np.argwhere(found)
    centre = np.array([rows, columns]) / 2
    row, column = candidates[np.abs(candidates - centre).sum(1).argmin()].tolist()
    return (row, column), (row, column + 1)


def _colour(label: np.ndarray, palette: np.ndarray) -> np.ndarray:
    coloured = palette[np.where(label == _IGNORED, 0, label)]
    coloured[label == _IGNORED] = 0
    return coloured


def _to_pixels(index, scale: np.ndarray) -> np.ndarray:
    """Position (y, x) on a feature map to that of its centre on the image."""
    return (np.asarray(index) + 0.5) * scale - 0.5


def _zoom_to(axis, image: np.ndarray, truth: np.ndarray, centre: np.ndarray) -> None:
    axis.imshow(image)
    for label in np.unique(truth):
        axis.contour(truth == label, levels=[0.5], colors='white', linewidths=0.8)
    y, x = centre
    axis.set_xlim(x - _MARGIN, x + _MARGIN)
    axis.set_ylim(y + _MARGIN, y - _MARGIN)


def _draw_kernel(axis, kernel: Kernel, centre: np.ndarray, scale: np.ndarray) -> None:
    """Draws the points of a kernel, coloured and sized by weight; scale is that of the low-res."""
    axis.plot(centre[1], centre[0], 'r+', ms=14, mew=2)
    points = _to_pixels(kernel.points[:, ::-1], scale)
    order = kernel.weights.argsort()
    axis.scatter(
        points[order, 1],
        points[order, 0],
        c=kernel.weights[order],
        s=600 * kernel.weights[order] / kernel.weights.max() + 8,
        cmap='plasma',
        edgecolors='black',
        linewidths=0.6,
        alpha=0.85,
    )


def _draw_difference(axis, names, predictions, truth: np.ndarray) -> None:
    first, second = (prediction == truth for prediction in predictions)
    counted = truth != _IGNORED
    picture = np.full((*truth.shape, 3), 235, np.uint8)
    picture[counted & first & ~second] = (200, 40, 40)
    picture[counted & ~first & second] = (30, 140, 60)
    picture[counted & ~first & ~second] = (150, 150, 150)
    axis.imshow(picture)
    axis.set_title(
        f'green: only {names[1]} right, red: only {names[0]}\ngrey: both wrong', fontsize=10
    )
