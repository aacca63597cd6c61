"""The truth of an image for mmdet: its instances, or its panoptic segments."""

from typing import Any

import numpy as np
import torch
from mmengine.registry import TRANSFORMS
from mmengine.structures import PixelData

from ..utils.coco_panoptic import INSTANCE_OFFSET, read_id_map


def detection_truth(info: dict, num_classes: int) -> Any:
    """Reads what a dataset of mmdet says about an image.

    Args:
        info (dict): As ``get_data_info`` of the dataset gives it.
        num_classes (int): Number of classes, which is also the label of VOID.

    Returns:
        DetDataSample: With ``gt_panoptic_seg`` for a panoptic dataset, else ``gt_instances``; of
        the size of the image. Crowds are left out of the instances.

    Raises:
        FileNotFoundError: If a panoptic map is missing.
        ValueError: If one cannot be read.
    """
    from mmdet.structures import DetDataSample

    if info.get('segments_info') is not None:
        truth = DetDataSample()
        truth.gt_panoptic_seg = PixelData(sem_seg=_panoptic_map(info, num_classes)[None])
        return truth
    instances = [one for one in info['instances'] if not one['ignore_flag']]
    # An instance without a mask is one of a dataset without masks.
    with_mask = bool(instances) and all('mask' in one for one in instances)
    load = TRANSFORMS.build(
        dict(type='mmdet.LoadAnnotations', with_bbox=True, with_mask=with_mask, box_type=None)
    )
    pack = TRANSFORMS.build(dict(type='mmdet.PackDetInputs', meta_keys=('ori_shape',)))
    size = (info['height'], info['width'])
    loaded = load(dict(info, instances=instances, ori_shape=size, img_shape=size))
    return pack(loaded)['data_samples']


def _panoptic_map(info: dict, void: int) -> torch.Tensor:
    """Label + 1000 * instance of each pixel, as mmdet's predictions are."""
    ids = read_id_map(info['seg_map_path'])
    values = np.full(ids.shape, void)
    for number, segment in enumerate(info['segments_info'], 1):
        values[ids == segment['id']] = segment['category'] + number * INSTANCE_OFFSET
    return torch.from_numpy(values)


def truth_like(truth: Any, prediction: Any) -> Any:
    """The truth without masks, where the prediction has none: boxes are compared with boxes.

    Args:
        truth (SegDataSample or DetDataSample): The truth.
        prediction (SegDataSample or DetDataSample): What a model predicts.

    Returns:
        SegDataSample or DetDataSample: The truth, or a copy without masks.
    """
    predicted, instances = prediction.get('pred_instances'), truth.get('gt_instances')
    if instances is None or 'masks' not in instances or predicted is None or 'masks' in predicted:
        return truth
    truth = truth.clone()
    del truth.gt_instances.masks
    return truth
