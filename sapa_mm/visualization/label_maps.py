"""One label per pixel, of whatever a model predicts: what difference maps compare."""

from typing import Any

import numpy as np

from ..utils.coco_panoptic import IGNORE_INDEX, INSTANCE_OFFSET
from .arrays import to_numpy

#: Label of pixels that nobody has labelled.
IGNORED = -1
#: Detections below this score are not drawn, as mmdet's visualizer has it.
SCORE = 0.3


def label_map(sample: Any, which: str, num_classes: int) -> np.ndarray:
    """The class of each pixel of a prediction, or of the truth.

    Args:
        sample (SegDataSample or DetDataSample): With a semantic map, a panoptic one, or instances.
        which (str): 'pred' or 'gt'.
        num_classes (int): Number of classes.

    Returns:
        np.ndarray: int (H, W). Instances are painted by mask, else as filled boxes, those of higher
        scores over others and none below 0.3; what they leave is ``num_classes``, the background,
        and so is VOID in a panoptic prediction. IGNORED where the truth has no label.

    Raises:
        ValueError: If the sample has none of the three.
    """
    if f'{which}_panoptic_seg' in sample:
        ids = to_numpy(sample.get(f'{which}_panoptic_seg').sem_seg)[0]
        labels = np.minimum(ids % INSTANCE_OFFSET, num_classes)
        return np.where(labels == num_classes, IGNORED, labels) if which == 'gt' else labels
    if f'{which}_sem_seg' in sample:
        labels = to_numpy(sample.get(f'{which}_sem_seg').data)[0].astype(np.int64)
        return np.where(labels == IGNORE_INDEX, IGNORED, labels)
    if f'{which}_instances' in sample:
        return _paint(sample.get(f'{which}_instances'), sample.ori_shape[:2], num_classes)
    raise ValueError(
        'only semantic maps, panoptic maps and instances can be drawn; the model predicts '
        f'{", ".join(sample.keys()) or "nothing"}'
    )


def _paint(instances: Any, size: tuple[int, int], background: int) -> np.ndarray:
    labels = np.full(size, background)
    scores = to_numpy(instances.get('scores', np.ones(len(instances.labels))))
    boxes = to_numpy(instances.bboxes)
    masks = to_numpy(instances.masks) if 'masks' in instances else None
    for index in scores.argsort(kind='stable'):
        if scores[index] <= SCORE:
            continue
        if masks is not None:
            place = masks[index].astype(bool)
        else:
            left, top, right, bottom = boxes[index].round().clip(0).astype(int)
            place = (slice(top, bottom), slice(left, right))
        labels[place] = int(instances.labels[index])
    return labels
