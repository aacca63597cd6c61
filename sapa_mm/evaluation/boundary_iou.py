"""Boundary IoU, the IoU of the boundaries of masks, as a metric of mmengine."""

import math
from collections.abc import Sequence

import cv2
import numpy as np
from mmengine.logging import print_log
from mmengine.registry import METRICS

from ..utils.coco_panoptic import IGNORE_INDEX
from .threaded_metric import ThreadedMetric

_OUTSIDE = -1


@METRICS.register_module()
class BoundaryIoUMetric(ThreadedMetric):
    """Boundary IoU (bIoU in Tables 3 and 4; Cheng et al., CVPR 2021), beside mmseg's mIoU.

    The boundary of a mask is the mask minus its erosion with a 3×3 square, d iterations. The
    image's border counts as boundary. Intersection and union of the boundaries are summed for each
    class over all images; bIoU is the mean over the classes that have any boundary. In percent.
    Masks that lie within d of their boundary have their IoU: in small images, the paper's d of 2 %
    of the diagonal leaves little inside of thin objects. Use it in a list of evaluators::

        val_evaluator = [
            dict(type='IoUMetric', iou_metrics=['mIoU']),
            dict(type='BoundaryIoUMetric'),
            dict(type='BoundaryIoUMetric', distance=3, prefix='3px'),  # '3px/bIoU'
        ]

    Args:
        ignore_index (int): True label of pixels to ignore, also in the prediction.
            Defaults to 255.
        distance (int or float): d: an integer is a number of pixels, 1 or more; a float is a share
            of the image's diagonal, above 0 and below 1, of which d is rounded and at least a
            pixel. Defaults to 0.02, as in the paper.
        classwise (bool): Whether to also report each class. Defaults to False.
        num_workers (int): Threads that evaluate images. Defaults to 2.
        collect_device (str): See ``BaseMetric``. Defaults to 'cpu'.
        prefix (str, optional): Prefix of the metrics' names. Defaults to None.

    Raises:
        ValueError: If an argument is out of range, or an image's sizes or labels do not fit.
    """

    def __init__(
        self,
        ignore_index: int = IGNORE_INDEX,
        distance: int | float = 0.02,
        classwise: bool = False,
        num_workers: int = 2,
        collect_device: str = 'cpu',
        prefix: str | None = None,
    ):
        super().__init__(num_workers, collect_device, prefix)
        is_share = isinstance(distance, float) and 0 < distance < 1
        is_pixels = type(distance) is int and distance >= 1
        if not (is_share or is_pixels):
            raise ValueError(
                'BoundaryIoUMetric: distance must be an integer of 1 or more, in pixels, or a '
                f"share of the image's diagonal between 0 and 1, got {distance!r}"
            )
        self.ignore_index = ignore_index
        self.distance = distance
        self.classwise = classwise

    def prepare(self, sample: dict) -> tuple:
        """Take the maps of one image from a data sample.

        Args:
            sample (dict): With ``pred_sem_seg.data`` and ``gt_sem_seg.data``, labels (1, H, W).

        Returns:
            tuple: Arguments of ``evaluate_image``.

        Raises:
            ValueError: If there are no labels.
        """
        if 'gt_sem_seg' not in sample:
            raise ValueError(
                f'BoundaryIoUMetric: image {sample.get("img_path")} has no labels: its pipeline '
                'has no LoadAnnotations; leave this metric out of test_evaluator'
            )
        maps = (sample[key]['data'].squeeze(0) for key in ('pred_sem_seg', 'gt_sem_seg'))
        # The thresholded prediction of a single channel is float.
        return tuple(labels.cpu().numpy().astype(np.int64, copy=False) for labels in maps)

    def evaluate_image(self, prediction: np.ndarray, truth: np.ndarray) -> np.ndarray:
        """Count the boundary pixels of one image.

        Args:
            prediction (np.ndarray): Labels (H, W).
            truth (np.ndarray): Labels (H, W).

        Returns:
            np.ndarray: (2, classes), pixels in the intersection and in the union of the
            boundaries.

        Raises:
            ValueError: If the sizes differ, or a label is not one of the classes.
        """
        classes = len(self._classes)
        if prediction.shape != truth.shape:
            raise ValueError(f'the prediction is {prediction.shape}, the truth {truth.shape}')
        known = truth != self.ignore_index
        for name, labels in (('truth', truth[known]), ('prediction', prediction[known])):
            if labels.size and not 0 <= labels.min() <= labels.max() < classes:
                wrong = labels.min() if labels.min() < 0 else labels.max()
                raise ValueError(
                    f'the {name} has label {wrong}, the dataset has the classes 0..{classes - 1}'
                )
        # An extra label for ignored pixels.
        prediction, truth = (np.where(known, labels, classes) for labels in (prediction, truth))
        thickness = self.distance
        if isinstance(thickness, float):
            thickness = max(1, round(thickness * math.hypot(*truth.shape)))
        # Beyond the image nothing changes but the time that it takes.
        thickness = min(thickness, max(truth.shape))
        predicted_boundary, true_boundary = (
            find_boundaries(labels, thickness) for labels in (prediction, truth)
        )
        counts = [
            np.bincount(labels[pixels], minlength=classes + 1)[:classes]
            for labels, pixels in (
                (truth, predicted_boundary & true_boundary & (prediction == truth)),
                (prediction, predicted_boundary),
                (truth, true_boundary),
            )
        ]
        return np.stack([counts[0], counts[1] + counts[2] - counts[0]])

    def compute_metrics(self, results: list[np.ndarray]) -> dict:
        """Compute the metrics of all images.

        Args:
            results (list[np.ndarray]): Counts of each image.

        Returns:
            dict: bIoU, and with ``classwise`` that of each class (``{class}_bIoU``), in percent;
            classes without a boundary are left out. bIoU is 0 if no class has one.
        """
        intersection, union = sum(results, np.zeros((2, len(self._classes)), np.int64))
        occurs = union > 0
        values = 100 * intersection[occurs] / union[occurs]
        metrics = {'bIoU': float(values.mean()) if occurs.any() else 0.0}
        if self.classwise:
            names = (name for name, there in zip(self._classes, occurs, strict=True) if there)
            metrics |= {
                f'{name}_bIoU': float(value) for name, value in zip(names, values, strict=True)
            }
        print_log(f'Boundary IoU: {metrics["bIoU"]:.2f}', logger='current')
        return metrics

    @property
    def _classes(self) -> Sequence[str]:
        return self.dataset_meta['classes']


def find_boundaries(labels: np.ndarray, thickness: int) -> np.ndarray:
    """Find the pixels on the boundary of their class's mask, for all classes at once.

    A pixel is on the boundary if the square of 2 * thickness + 1 pixels around it contains another
    label or leaves the image, which means that it is in its mask but not in the eroded one.

    Args:
        labels (np.ndarray): (H, W), 0 to 32767.
        thickness (int): Iterations of the erosion with a 3×3 square.

    Returns:
        np.ndarray: (H, W), bool.
    """
    padded = np.pad(labels.astype(np.int16), 1, constant_values=_OUTSIDE)
    square = np.ones((2 * thickness + 1, 2 * thickness + 1), np.uint8)
    largest, smallest = cv2.dilate(padded, square), cv2.erode(padded, square)
    return (largest != smallest)[1:-1, 1:-1]
