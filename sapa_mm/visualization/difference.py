"""Where label maps differ from one another, and who is right."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from .label_maps import IGNORED


@dataclass(frozen=True)
class Difference:
    """A map of cases.

    Attributes:
        cases (np.ndarray): int (H, W), indices of ``names``.
        names (list[str]): What each case is.
        colours (list[tuple[float, float, float]]): Of each case, from 0 to 1.
    """

    cases: np.ndarray
    names: list[str]
    colours: list[tuple[float, float, float]]

    @property
    def picture(self) -> np.ndarray:
        """The colours of the cases, (H, W, 3), from 0 to 1."""
        return np.array(self.colours)[self.cases]


_NO_LABEL, _AGREED, _WRONG, _MIXED = (0.0,) * 3, (0.93,) * 3, (0.6,) * 3, (0.94, 0.89, 0.26)
# Told apart by the colour-blind, too (Okabe and Ito).
_MODELS = [(0, 114, 178), (213, 94, 0), (0, 158, 115), (204, 121, 167), (86, 180, 233)]


def compare_labels(predictions: dict[str, np.ndarray], truth: np.ndarray | None) -> Difference:
    """Finds where predictions differ, and, where the truth is known, which are right.

    Args:
        predictions (dict[str, np.ndarray]): Label maps (H, W) by the models' names; without a
            truth two or more.
        truth (np.ndarray, optional): Label map (H, W); pixels that are IGNORED are not compared.

    Returns:
        Difference: With a truth, the cases are "all right", "all wrong", "only NAME right" for
        each model, "several right" and "no label"; without one "all the same", "only NAME
        differs" for each of three or more models, and "different".
    """
    labels = np.stack(list(predictions.values()))
    compare = _compare_with_one_another if truth is None else _compare_with_truth
    found = [
        (np.broadcast_to(where, labels.shape[1:]), name, colour)
        for where, name, colour in compare(labels, list(predictions), truth)
    ]
    cases = np.full(labels.shape[1:], -1)
    for case, (where, _, _) in enumerate(found):
        cases[where & (cases < 0)] = case
    return Difference(cases, [name for _, name, _ in found], [colour for _, _, colour in found])


def _compare_with_truth(labels: np.ndarray, names: Sequence[str], truth: np.ndarray):
    """Cases; a pixel belongs to the first that holds."""
    right = labels == truth
    count = right.sum(0)
    several = len(names) > 1
    yield truth == IGNORED, 'no label', _NO_LABEL
    yield right.all(0), 'all right' if several else 'right', _AGREED
    yield count == 0, 'all wrong' if several else 'wrong', _WRONG
    for index, name in enumerate(names if several else ()):
        yield right[index] & (count == 1), f'only {name} right', _colour(index)
    if len(names) > 2:
        yield True, 'several right', _MIXED


def _compare_with_one_another(labels: np.ndarray, names: Sequence[str], _):
    yield (labels == labels[0]).all(0), 'all the same', _AGREED
    if len(names) > 2:
        for index, name in enumerate(names):
            others = np.delete(labels, index, 0)
            alone = (others == others[0]).all(0) & (labels[index] != others[0])
            yield alone, f'only {name} differs', _colour(index)
    yield True, 'different', _MIXED if len(names) > 2 else _colour(1)


def _colour(index: int) -> tuple[float, float, float]:
    return tuple(channel / 255 for channel in _MODELS[index % len(_MODELS)])
