"""Boxes, masks and panoptic segments, mmdet's."""

import copy
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from mmengine.registry import TRANSFORMS
from mmengine.structures import PixelData
from mmengine.visualization import Visualizer

from ...utils.coco_panoptic import Segments, read_id_map
from ..label_maps import to_numpy
from .classes import TaskWithClasses

# mmdet draws lines and names of a fixed size in pixels, so smaller images are enlarged.
_MIN_SIDE = 320


class Detection(TaskWithClasses):
    """Instances over the image; of a panoptic sample only the panoptic map is drawn."""

    drawn = 'panoptic maps, instances'
    fields = ('panoptic_seg', 'instances')
    visualizer = 'mmdet.DetLocalVisualizer'

    def has_truth(self, info: dict) -> bool:
        """Tells whether there are segments or instances."""
        return info.get('segments_info') is not None or 'instances' in info

    def read_truth(
        self, info: dict, size: tuple[int, int], num_classes: int, load: Callable[[], dict]
    ) -> Any:
        """Reads a panoptic map, or instances, into a DetDataSample."""
        if info.get('segments_info') is not None:
            return _panoptic_truth(info, num_classes)
        return _instance_truth(info)

    def prepare(self, visualizer: Visualizer) -> dict:
        """Lets the image show through, and draws thinner lines."""
        visualizer.alpha = 0.6
        visualizer.line_width = 2
        return {}

    def resize(self, pixels: np.ndarray, sample: Any, prefix: str) -> tuple[np.ndarray, Any]:
        """Enlarges small images by a whole factor."""
        factor = -(-_MIN_SIDE // max(pixels.shape[:2]))
        return _repeat(pixels, factor, (0, 1)), _enlarge(sample, prefix, factor)

    def comparable(self, truth: Any, predictions: dict[str, Any]) -> Any:
        """Leaves out masks where the first prediction has only boxes."""
        predicted = next(iter(predictions.values())).get('pred_instances')
        instances = truth.get('gt_instances')
        if instances is None or 'masks' not in instances or predicted is None:
            return truth
        if 'masks' in predicted:
            return truth
        truth = truth.clone()
        del truth.gt_instances.masks
        return truth


def _panoptic_truth(info: dict, num_classes: int) -> Any:
    """Reads a panoptic map into a DetDataSample; ``num_classes`` is the label of VOID."""
    from mmdet.structures import DetDataSample

    ids, labels = ([entry[key] for entry in info['segments_info']] for key in ('id', 'category'))
    segments = Segments.make(read_id_map(info['seg_map_path']), ids, labels)
    panoptic_map = torch.from_numpy(segments.to_panoptic_map(num_classes))
    truth = DetDataSample()
    truth.gt_panoptic_seg = PixelData(sem_seg=panoptic_map[None])
    return truth


def _instance_truth(info: dict) -> Any:
    """Puts the instances of an image, without crowds, into a DetDataSample as mmdet does."""
    instances = [instance for instance in info['instances'] if not instance['ignore_flag']]
    # Datasets of boxes have no masks.
    with_mask = bool(instances) and all('mask' in instance for instance in instances)
    load = TRANSFORMS.build(
        dict(type='mmdet.LoadAnnotations', with_bbox=True, with_mask=with_mask, box_type=None)
    )
    pack = TRANSFORMS.build(dict(type='mmdet.PackDetInputs', meta_keys=('ori_shape',)))
    size = (info['height'], info['width'])
    loaded = load(dict(info, instances=instances, ori_shape=size, img_shape=size))
    return pack(loaded)['data_samples']


def _enlarge(sample: Any, prefix: str, factor: int) -> Any:
    """Copies the drawn fields of an mmdet data sample, enlarged."""
    enlarged = type(sample)()
    panoptic = sample.get(f'{prefix}_panoptic_seg')
    if panoptic is not None:
        panoptic = type(panoptic)(sem_seg=_repeat(to_numpy(panoptic.sem_seg), factor, (1, 2)))
        enlarged.set_field(panoptic, f'{prefix}_panoptic_seg', type(panoptic))
        return enlarged
    instances = copy.copy(sample.get(f'{prefix}_instances').cpu())
    instances.bboxes = instances.bboxes * factor
    if 'masks' in instances:
        instances.masks = _repeat(to_numpy(instances.masks), factor, (1, 2))
    enlarged.set_field(instances, f'{prefix}_instances', type(instances))
    return enlarged


def _repeat(array: np.ndarray, factor: int, axes: tuple[int, int]) -> np.ndarray:
    for axis in axes:
        array = array.repeat(factor, axis)
    return array
