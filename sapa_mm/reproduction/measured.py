"""What the runs of a row gave, over the seeds."""

import math
import statistics
from collections.abc import Sequence
from dataclasses import dataclass

from .training_result import TrainingResult

_KINDS = {'': 'bbox', 'box': 'bbox', 'mask': 'segm'}


@dataclass(frozen=True)
class Measured:
    """A figure over the seeds.

    Attributes:
        mean (float): The mean.
        spread (float | None): The sample's standard deviation; None of a single run.
        runs (int): How many runs there are.
    """

    mean: float
    spread: float | None
    runs: int


def is_metric(column: str) -> bool:
    """Whether a column of the paper's tables is one that a validation gives."""
    return column not in ('Params', 'FLOPs', 'latency (ms)')


def measured(column: str, results: Sequence[TrainingResult]) -> Measured | None:
    """A metric over the seeds.

    Args:
        column (str): The column of the paper's table.
        results (Sequence[TrainingResult]): One for each seed.

    Returns:
        Measured | None: In the paper's unit; None if no result has it, or if the validation set
        has nothing that the metric is for, such as large objects.
    """
    key, scale = _key(column)
    # mmdet reports no average precision where nothing is detected: it is 0. Other metrics are
    # missing only where they were not computed.
    default = 0.0 if key.startswith('coco/') else None
    found = [result.metrics.get(key, default) for result in results]
    values = [scale * value for value in found if value is not None]
    # COCO's -1 stands for "no such objects".
    if not values or min(values) < 0:
        return None
    # The spread of what is not finite is not defined.
    is_spread = len(values) > 1 and all(map(math.isfinite, values))
    spread = statistics.stdev(values) if is_spread else None
    return Measured(statistics.mean(values), spread, len(values))


def _key(column):
    """The name of a metric in mmseg and mmdet, and the factor to the paper's unit."""
    if column in ('mIoU', 'bIoU'):
        return column, 1
    if column in ('SQ', 'RQ') or column.startswith('PQ'):
        return f'coco_panoptic/{column.replace(" ", "_")}', 1
    kind, _, precision = column.rpartition(' ')
    size = precision.removeprefix('AP').lower()
    return f'coco/{_KINDS[kind]}_mAP' + (f'_{size}' if size else ''), 100
