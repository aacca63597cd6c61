"""The truth of an image for mmseg: its annotation map."""

from typing import Any

import torch
from mmengine.registry import TRANSFORMS
from mmengine.structures import PixelData

from ..utils.coco_panoptic import IGNORE_INDEX
from .geometry import by


def segmentation_truth(info: dict, size: tuple[int, int], num_classes: int) -> Any:
    """Reads an annotation map as mmseg does.

    Args:
        info (dict): ``seg_map_path``, ``reduce_zero_label`` and ``label_map``, as a dataset of
            mmseg gives them.
        size (tuple[int, int]): Height and width of the image.
        num_classes (int): How many classes the dataset has.

    Returns:
        SegDataSample: With ``gt_sem_seg``.

    Raises:
        ValueError: If the file is no label map, has another size than the image, or a label that
            is neither a class nor 255.
    """
    from mmseg.structures import SegDataSample

    path = info['seg_map_path']
    load = TRANSFORMS.build(dict(type='mmseg.LoadAnnotations'))
    labels = load(dict(info, seg_fields=[]))['gt_seg_map']
    if labels.ndim != 2:
        raise ValueError(f'{path} is no label map: it has {labels.shape[2]} channels')
    if labels.shape != size:
        raise ValueError(
            f'{path} has {by(labels.shape)} pixels, its image has {by(size)} (height x width)'
        )
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
