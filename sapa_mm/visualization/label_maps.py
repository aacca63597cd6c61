"""Predictions and ground truth as label maps, and where these differ."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from ..utils.coco_panoptic import IGNORE_INDEX, panoptic_labels
from .comparisons import BLACK, GREY, LIGHT, YELLOW, DifferenceMap, case_map, model_colour

#: Stands for pixels without a label in the ground truth.
UNLABELLED = -1
#: Only detections of a higher score are drawn, as by default in mmdet's visualizer.
MIN_SCORE = 0.3


def to_numpy(array: Any) -> np.ndarray:
    """Converts a tensor, an array, or mmdet's masks (N, H, W) to a numpy array."""
    if hasattr(array, 'to_ndarray'):
        return array.to_ndarray()
    return array if isinstance(array, np.ndarray) else array.detach().cpu().numpy()


def label_map(sample: Any, prefix: str, num_classes: int) -> np.ndarray:
    """Reduces a prediction, or the ground truth, to the class of each pixel.

    Args:
        sample (SegDataSample or DetDataSample): With a semantic map, a panoptic map, or instances.
        prefix (str): Prefix of the sample's fields: 'pred' for a prediction, 'gt' for ground truth.
        num_classes (int): Number of classes.

    Returns:
        np.ndarray: int (H, W). Instances with a score above 0.3 are painted as masks, or as filled
        boxes without them, higher scores on top; the remaining pixels are background,
        ``num_classes``, as is VOID in a panoptic prediction. UNLABELLED where the ground truth has
        no label.
    """
    if f'{prefix}_panoptic_seg' in sample:
        values = to_numpy(sample.get(f'{prefix}_panoptic_seg').sem_seg)[0]
        labels = np.minimum(panoptic_labels(values), num_classes)
        return np.where(labels == num_classes, UNLABELLED, labels) if prefix == 'gt' else labels
    if f'{prefix}_sem_seg' in sample:
        labels = to_numpy(sample.get(f'{prefix}_sem_seg').data)[0].astype(np.int64)
        return np.where(labels == IGNORE_INDEX, UNLABELLED, labels)
    return _paint(sample.get(f'{prefix}_instances'), sample.ori_shape[:2], num_classes)


def boundary_near_centre(labels: np.ndarray) -> tuple[int, int]:
    """Finds the pixel nearest to the centre of a label map where the label changes.

    Args:
        labels (np.ndarray): (H, W).

    Returns:
        tuple[int, int]: Row and column of a pixel whose right or lower neighbour has another
        label; the centre if there is none.
    """
    changes = np.zeros(labels.shape, bool)
    changes[:, :-1] |= labels[:, :-1] != labels[:, 1:]
    changes[:-1] |= labels[:-1] != labels[1:]
    centre = np.array(labels.shape) // 2
    pixels = np.argwhere(changes) if changes.any() else centre[None]
    row, column = pixels[np.square(pixels - centre).sum(1).argmin()].tolist()
    return row, column


def compare_labels(predictions: dict[str, np.ndarray], truth: np.ndarray | None) -> DifferenceMap:
    """Compares predictions with the ground truth, or, without one, with each other.

    Args:
        predictions (dict[str, np.ndarray]): Label map (H, W) of each model, by its name; two or
            more without a ground truth.
        truth (np.ndarray, optional): Label map (H, W); UNLABELLED pixels are not compared.

    Returns:
        DifferenceMap: With a ground truth, the cases are 'all right', 'all wrong', 'only NAME
        right' for each model, 'several right' and 'no label'; without one 'all the same', 'only
        NAME differs' for each of three or more models, and 'different'.
    """
    labels, names = np.stack(list(predictions.values())), list(predictions)
    if truth is None:
        cases, title = _agreement(labels, names), 'where they differ'
    else:
        cases = _correctness(labels, names, truth)
        title = 'where they differ' if len(names) > 1 else 'where it is right'
    return case_map(cases, labels.shape[1:], title)


def _correctness(labels: np.ndarray, names: Sequence[str], truth: np.ndarray):
    """Yields condition, name and colour of each case of comparing with the ground truth."""
    right = labels == truth
    count = right.sum(0)
    several = len(names) > 1
    yield truth == UNLABELLED, 'no label', BLACK
    yield right.all(0), 'all right' if several else 'right', LIGHT
    yield count == 0, 'all wrong' if several else 'wrong', GREY
    for index, name in enumerate(names if several else ()):
        yield right[index] & (count == 1), f'only {name} right', model_colour(index)
    if len(names) > 2:
        yield True, 'several right', YELLOW


def _agreement(labels: np.ndarray, names: Sequence[str]):
    """Yields condition, name and colour of each case of comparing models with each other."""
    yield (labels == labels[0]).all(0), 'all the same', LIGHT
    if len(names) > 2:
        for index, name in enumerate(names):
            others = np.delete(labels, index, 0)
            alone = (others == others[0]).all(0) & (labels[index] != others[0])
            yield alone, f'only {name} differs', model_colour(index)
    yield True, 'different', YELLOW if len(names) > 2 else model_colour(1)


def _paint(instances: Any, size: tuple[int, int], background: int) -> np.ndarray:
    labels = np.full(size, background)
    scores = to_numpy(instances.get('scores', np.ones(len(instances.labels))))
    boxes = to_numpy(instances.bboxes)
    masks = to_numpy(instances.masks) if 'masks' in instances else None
    for index in scores.argsort(kind='stable'):
        if scores[index] <= MIN_SCORE:
            continue
        if masks is not None:
            inside = masks[index].astype(bool)
        else:
            left, top, right, bottom = boxes[index].round().clip(0).astype(int)
            inside = (slice(top, bottom), slice(left, right))
        labels[inside] = int(instances.labels[index])
    return labels
