"""Semantic segmentation, mmseg's."""

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from matplotlib.figure import Figure
from mmengine.registry import TRANSFORMS
from mmengine.structures import PixelData
from mmengine.visualization import Visualizer

from ...engine.images import read_image
from ...utils.coco_panoptic import IGNORE_INDEX
from ..canvas import patches
from ..label_maps import label_map
from .classes import TaskWithClasses
from .task import check_size, thinning

_MAX_CLASSES = 20


class Segmentation(TaskWithClasses):
    """Label maps over the image, with a legend of the most frequent classes."""

    drawn = 'semantic maps'
    fields = ('sem_seg',)
    truth_key = 'seg_map_path'
    visualizer = 'mmseg.SegLocalVisualizer'

    def read_truth(
        self, info: dict, size: tuple[int, int], num_classes: int, load: Callable[[], dict]
    ) -> Any:
        """Reads a label map as mmseg does, into a SegDataSample with ``gt_sem_seg``.

        Args:
            info (dict): ``seg_map_path``, ``reduce_zero_label`` and ``label_map``, as datasets of
                mmseg provide them.
            size (tuple[int, int]): Height and width of the image.
            num_classes (int): Number of classes of the dataset.
            load (Callable): Unused.

        Returns:
            SegDataSample: The ground truth.

        Raises:
            FileNotFoundError: If the file is missing.
            ValueError: If the file is not a label map, has another size than the image, or contains
                a label that is neither a class nor 255.
        """
        from mmseg.structures import SegDataSample

        path = info['seg_map_path']
        read_image(path, 'annotation')
        transform = TRANSFORMS.build(dict(type='mmseg.LoadAnnotations'))
        labels = transform(dict(info, seg_fields=[]))['gt_seg_map']
        if labels.ndim != 2:
            raise ValueError(f'{path} is no label map: it has {labels.shape[2]} channels')
        check_size(path, labels.shape, size)
        wrong = labels[(labels >= num_classes) & (labels != IGNORE_INDEX)]
        if wrong.size:
            raise ValueError(
                f'{path} has the label {wrong[0]} (numbered as the dataset is: '
                f'reduce_zero_label={info["reduce_zero_label"]}); allowed are 0..{num_classes - 1} '
                f'and {IGNORE_INDEX}'
            )
        truth = SegDataSample(metainfo=dict(ori_shape=size))
        truth.gt_sem_seg = PixelData(data=torch.from_numpy(labels.astype('int64'))[None])
        return truth

    def prepare(self, visualizer: Visualizer) -> dict:
        """Lets the image show through, and leaves out the names of classes."""
        visualizer.alpha = 0.7
        return dict(with_labels=False)

    def resize(self, pixels: np.ndarray, sample: Any, prefix: str) -> tuple[np.ndarray, Any]:
        """Takes every n-th pixel of a large image, which mmseg needs a gigabyte to blend."""
        step = thinning(pixels)
        thin = type(sample)()
        labels = sample.get(f'{prefix}_sem_seg')
        labels = type(labels)(data=labels.data[:, step, step])
        thin.set_field(labels, f'{prefix}_sem_seg', type(labels))
        return pixels[step, step], thin

    def add_legend(
        self, figure: Figure, truth: Any | None, predictions: dict[str, Any], meta: dict
    ) -> None:
        """Adds a legend of the most frequent classes below the figure."""
        classes, palette = meta['classes'], meta['palette']
        maps = [self.regions(prediction, meta) for prediction in predictions.values()]
        if truth is not None:
            maps.append(label_map(truth, 'gt', len(classes)))
        labels = np.concatenate([m.ravel() for m in maps])
        counts = np.bincount(labels[labels >= 0], minlength=len(classes))
        largest = [label for label in np.argsort(-counts)[:_MAX_CLASSES] if counts[label]]
        handles = patches(
            [classes[label] for label in largest],
            [np.array(palette[label]) / 255 for label in largest],
        )
        columns = max(1, min(len(handles), int(figure.get_figwidth() // 1.2)))
        # The layout would take its rows from the panels, and cut their titles.
        figure.set_figheight(figure.get_figheight() + 0.2 * -(-len(handles) // columns))
        place = dict(loc='outside lower center', ncols=columns)
        figure.legend(handles=handles, **place, fontsize=8, frameon=False)
