"""Drawing data samples by the visualizers of mmseg and mmdet."""

from typing import Any

import numpy as np
from mmengine.visualization import Visualizer

from ..utils.seeding import seeded


def is_semantic(sample: Any) -> bool:
    """Tell whether a data sample is mmseg's."""
    return type(sample).__module__.startswith('mmseg.')


def add_picture(
    visualizer: Visualizer, pixels: np.ndarray, sample: Any, score_thr: float, **options: Any
) -> None:
    """Have a visualizer draw a data sample, so that the same sample gives the same picture.

    mmdet's gives masks random shades, and fails on a panoptic map that is nothing but VOID, of
    which the image is drawn here.

    Args:
        visualizer (Visualizer): mmseg's or mmdet's, whichever the sample is of.
        pixels (np.ndarray): The image, RGB, uint8 (H, W, 3).
        sample (SegDataSample or DetDataSample): Prediction, ground truth or both.
        score_thr (float): Only detections of a higher score are drawn.
        **options: More arguments of ``add_datasample``.
    """
    if not is_semantic(sample):
        options['pred_score_thr'] = score_thr
        sample = _without_void(sample, visualizer.dataset_meta.get('classes') or ())
    with seeded():
        visualizer.add_datasample('sample', pixels, sample, **options)


def _without_void(sample: Any, classes: Any) -> Any:
    """Leave out the panoptic maps without segments."""
    for key in ('gt_panoptic_seg', 'pred_panoptic_seg'):
        panoptic = sample.get(key)
        if panoptic is None:
            continue
        names = panoptic.get('label_names', classes)
        void = panoptic.get('ignore_index', len(names)) if 'label_names' in panoptic else len(names)
        if (panoptic.sem_seg == void).all():
            sample = sample.clone()
            del sample[key]
    return sample
