"""What tasks have in common that give each pixel a value."""

from abc import abstractmethod
from typing import Any

import numpy as np

from ..comparisons import GREY, LIGHT, DifferenceMap, ErrorMap, case_map, model_colour
from .task import Task


class TaskWithValues(Task):
    """A task whose predictions are compared by how far they are from the truth."""

    #: What the values are, for scales.
    unit: str
    #: Name of the pixels that ``scored`` leaves out.
    not_scored: str

    @abstractmethod
    def values(self, sample: Any, prefix: str) -> np.ndarray:
        """Values of a prediction ('pred') or the ground truth ('gt'), float64 (H, W)."""

    @abstractmethod
    def scored(self, true: np.ndarray, predictions: dict[str, Any]) -> np.ndarray:
        """Tells which pixels count, bool (H, W), given the true values."""

    @abstractmethod
    def tolerance(self, true: np.ndarray) -> np.ndarray | float:
        """How much errors may differ that are called equal, given the true values."""

    def compare(
        self, truth: Any | None, predictions: dict[str, Any], meta: dict
    ) -> DifferenceMap | ErrorMap | None:
        """Says who is nearest to the truth; of one model its error.

        Without a truth, it is the difference of the largest and the smallest prediction.
        """
        values = np.stack([self.values(sample, 'pred') for sample in predictions.values()])
        if truth is None:
            if len(values) < 2:
                return None
            return ErrorMap(np.ptp(values, axis=0), 'how far they differ', self.unit)
        true = self.values(truth, 'gt')
        scored = self.scored(true, predictions)
        errors = np.abs(values - true)
        if len(values) == 1:
            return ErrorMap(np.where(scored, errors[0], np.nan), 'its error', self.unit)
        first, second = np.sort(errors, axis=0)[:2]
        nearest = errors.argmin(0)
        cases = [
            (~scored, self.not_scored, GREY),
            (second - first <= self.tolerance(true), 'about equal', LIGHT),
            *(
                (nearest == index, f'{name} is nearest', model_colour(index))
                for index, name in enumerate(predictions)
            ),
        ]
        return case_map(cases, true.shape, 'who is nearest to the truth')


def largest_step(values: np.ndarray) -> tuple[int, int]:
    """Finds where a map changes most.

    Args:
        values (np.ndarray): (H, W); NaN where there is none.

    Returns:
        tuple[int, int]: Row and column of the pixel, in the middle half of rows and columns, that
        differs most from its right or lower neighbour.
    """
    steps = np.zeros(values.shape)
    steps[:, :-1] = np.abs(np.diff(values, axis=1))
    steps[:-1] = np.fmax(steps[:-1], np.abs(np.diff(values, axis=0)))
    steps = np.nan_to_num(steps)
    top, left = (side // 4 for side in values.shape)
    middle = steps[top : len(steps) - top, left : steps.shape[1] - left]
    if middle.max() == 0 < steps.max():
        middle, top, left = steps, 0, 0
    row, column = np.unravel_index(middle.argmax(), middle.shape)
    return int(row) + top, int(column) + left
