"""The truth of an image for mmseg: its annotation map."""

from typing import Any

import torch
from mmengine.registry import TRANSFORMS
from mmengine.structures import PixelData

from .geometry import by


def segmentation_truth(info: dict, size: tuple[int, int]) -> Any:
    """Reads an annotation map as mmseg does.

    Args:
        info (dict): ``seg_map_path``, ``reduce_zero_label`` and ``label_map``, as a dataset of
            mmseg gives them.
        size (tuple[int, int]): Height and width of the image.

    Returns:
        SegDataSample: With ``gt_sem_seg``.

    Raises:
        ValueError: If the map has another size than the image.
    """
    from mmseg.structures import SegDataSample

    path = info['seg_map_path']
    load = TRANSFORMS.build(dict(type='mmseg.LoadAnnotations'))
    labels = load(dict(info, seg_fields=[]))['gt_seg_map']
    if labels.shape != size:
        raise ValueError(
            f'{path} has {by(labels.shape)} pixels, its image has {by(size)} (height x width)'
        )
    truth = SegDataSample(metainfo=dict(ori_shape=size))
    truth.gt_sem_seg = PixelData(data=torch.from_numpy(labels.astype('int64'))[None])
    return truth
