"""One picture of panoptic predictions beside the truth."""

from collections.abc import Iterable

import mmcv
import numpy as np
import torch
from matplotlib.figure import Figure
from mmengine.dataset import pseudo_collate
from torch import nn
from torch.utils.data import Dataset

from ..evaluation.panoptic_files import read_id_map

_INSTANCE_OFFSET = 1000


def draw_panoptic(
    models: dict[str, nn.Module], dataset: Dataset, indices: Iterable[int], path: str
) -> None:
    """Draws images, true segments, and those that each model predicts, a row per image.

    Args:
        models (dict[str, nn.Module]): Panoptic segmentors of mmdet by name.
        dataset (Dataset): mmdet's ``CocoPanopticDataset``, with ``metainfo['palette']``.
        indices (Iterable[int]): Which of its samples; fewer if it has fewer.
        path (str): Where the PNG goes.
    """
    indices = [index for index in indices if index < len(dataset)]
    palette = np.array([*dataset.metainfo['palette'], (0, 0, 0)], dtype=np.uint8)
    figure = Figure(figsize=(3.2 * (2 + len(models)), 3.4 * len(indices)), layout='constrained')
    axes = figure.subplots(len(indices), 2 + len(models), squeeze=False)
    for row, index in zip(axes, indices, strict=True):
        info = dataset.get_data_info(index)
        image = mmcv.imread(info['img_path'], channel_order='rgb')
        row[0].imshow(image)
        _draw_segments(row[1], image, *_true_segments(info, len(palette) - 1), palette)
        for axis, model in zip(row[2:], models.values(), strict=True):
            values = predict_panoptic(model, dataset[index])
            labels = np.minimum(values % _INSTANCE_OFFSET, len(palette) - 1)
            _draw_segments(axis, image, values, labels, palette)
    for axis, title in zip(axes[0], ('image', 'ground truth', *models), strict=True):
        axis.set_title(title)
    for axis in axes.flat:
        axis.set_axis_off()
    figure.savefig(path, dpi=110)


@torch.no_grad()
def predict_panoptic(model: nn.Module, sample: dict) -> np.ndarray:
    """Predicts label + instance * 1000 of each pixel (H, W) of one sample of a dataset."""
    model.eval()
    prediction = model.test_step(pseudo_collate([sample]))[0]
    return prediction.pred_panoptic_seg.sem_seg[0].cpu().numpy()


def _true_segments(info: dict, void: int) -> tuple[np.ndarray, np.ndarray]:
    ids = read_id_map(info['seg_map_path'])
    labels = np.full(ids.shape, void)
    for segment in info['segments_info']:
        labels[ids == segment['id']] = segment['category']
    return ids, labels


def _draw_segments(axis, image, ids, labels, palette) -> None:
    """The colours of the classes over the image, white borders between segments, VOID black."""
    blend = (0.3 * image + 0.7 * palette[labels]).astype(np.uint8)
    border = np.zeros(ids.shape, bool)
    border[:, 1:] |= ids[:, 1:] != ids[:, :-1]
    border[1:] |= ids[1:] != ids[:-1]
    blend[border] = 255
    axis.imshow(blend)
