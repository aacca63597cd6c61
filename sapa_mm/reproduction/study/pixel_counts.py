"""Counting the pixels of a test set by blocks of images, from which all metrics follow."""

import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np
import torch
from mmengine.config import Config
from mmengine.registry import DATASETS, METRICS
from mmengine.runner import Runner
from torch import nn

from ...engine.config import in_scope
from ...evaluation.boundary_iou import BoundaryIoUMetric
from ...utils.configs import type_name

#: Images of a block; neighbouring frames of a film are no independent samples.
BLOCK = 20


@dataclass(frozen=True)
class PixelCounts:
    """Pixels of a test set, summed over blocks of about 20 successive images of a sequence.

    Attributes:
        classes (list[str]): C names.
        measures (list[str]): M names: 'IoU', and one such as 'bIoU' for each boundary IoU.
        sequences (list[str]): For each of B blocks, the name of its sequence.
        images (list[int]): For each block, the number of its images.
        counts (np.ndarray): (B, M, 2, C), int64, pixels in intersection and union.
    """

    classes: list[str]
    measures: list[str]
    sequences: list[str]
    images: list[int]
    counts: np.ndarray

    def ious(self, measure: str, sequence: str | None = None) -> np.ndarray:
        """IoU of each class, (C,), in percent; NaN for a class that does not occur.

        Args:
            measure (str): One of ``measures``.
            sequence (str, optional): The only sequence to measure. Defaults to None, for all.
        """
        chosen = [sequence in (None, name) for name in self.sequences]
        return ious_of(self.counts[chosen, self.measures.index(measure)].sum(0))

    def mean(self, measure: str, sequence: str | None = None) -> float:
        """Mean of ``ious`` over the classes that occur."""
        return float(np.nanmean(self.ious(measure, sequence)))

    def to_json(self) -> dict:
        """What ``from_json`` reads."""
        return {**vars(self), 'counts': self.counts.tolist()}

    @classmethod
    def from_json(cls, content: dict) -> 'PixelCounts':
        """Read what ``to_json`` gave."""
        return cls(**{**content, 'counts': np.asarray(content['counts'], np.int64)})


def ious_of(counts: np.ndarray) -> np.ndarray:
    """IoU in percent from counts (..., 2, C); NaN where nothing occurs."""
    intersection, union = counts[..., 0, :], counts[..., 1, :]
    return np.divide(100.0 * intersection, union, out=np.full(union.shape, np.nan), where=union > 0)


def count_pixels(
    model: nn.Module, cfg: Config, pictured: str
) -> tuple[PixelCounts, np.ndarray | None]:
    """Predict the test set of a config, and count what its evaluators measure.

    Args:
        model (nn.Module): The trained model, a segmentor of mmseg.
        cfg (Config): Its config.
        pictured (str): Name of an image, without suffix, whose prediction is wanted.

    Returns:
        tuple[PixelCounts, np.ndarray | None]: The counts, and the labels predicted for the picture,
        (H, W), uint8; None if there is no such image.
    """
    with in_scope(cfg):
        dataset = DATASETS.build(cfg.test_dataloader.dataset)
        metrics = _boundary_metrics(cfg, dataset.metainfo)
    loader = Runner.build_dataloader({**cfg.test_dataloader, 'dataset': dataset})
    by_sequence: dict[str, list[np.ndarray]] = {}
    picture = None
    model.eval()
    for stem, prediction, truth in _predict(model, loader):
        # First those that refuse labels beyond the classes.
        of_boundaries = [metric.evaluate_image(prediction, truth) for metric in metrics.values()]
        counts = [_count(prediction, truth, len(dataset.metainfo['classes'])), *of_boundaries]
        by_sequence.setdefault(stem.rpartition('_')[0], []).append(np.stack(counts))
        if stem == pictured:
            picture = prediction.astype(np.uint8)
    blocks = {
        sequence: np.array_split(np.stack(images), max(1, round(len(images) / BLOCK)))
        for sequence, images in by_sequence.items()
    }
    return PixelCounts(
        classes=list(dataset.metainfo['classes']),
        measures=['IoU', *metrics],
        sequences=[sequence for sequence, parts in blocks.items() for _ in parts],
        images=[len(part) for parts in blocks.values() for part in parts],
        counts=np.stack([part.sum(0) for parts in blocks.values() for part in parts]),
    ), picture


def _boundary_metrics(cfg: Config, meta: Mapping) -> dict[str, BoundaryIoUMetric]:
    metrics = {}
    evaluators = cfg.test_evaluator
    for evaluator in [evaluators] if isinstance(evaluators, dict) else evaluators:
        if type_name(evaluator['type']) == BoundaryIoUMetric.__name__:
            metric = METRICS.build(evaluator)
            metric.dataset_meta = meta
            metrics['/'.join(filter(None, (metric.prefix, 'bIoU')))] = metric
    return metrics


@torch.no_grad()
def _predict(model: nn.Module, loader) -> Iterator[tuple[str, np.ndarray, np.ndarray]]:
    """Name, prediction and truth of each image, in the order of their names."""
    metric = BoundaryIoUMetric()
    for batch in loader:
        for sample in model.test_step(batch):
            prediction, truth = metric.prepare(sample.to_dict())
            yield os.path.splitext(os.path.basename(sample.img_path))[0], prediction, truth


def _count(prediction: np.ndarray, truth: np.ndarray, classes: int) -> np.ndarray:
    """Pixels in intersection and union of each class, (2, C), as mmseg's IoUMetric counts them."""
    known = truth != 255
    prediction, truth = prediction[known], truth[known]
    both, predicted, true = (
        np.bincount(labels, minlength=classes)
        for labels in (truth[prediction == truth], prediction, truth)
    )
    return np.stack([both, predicted + true - both])
