"""Differences between upsamplers, and how sure they are: over seeds, and over test images."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import combinations

import numpy as np
from scipy import stats

from .pixel_counts import ious_of
from .study_results import StudyResult

_LEVEL = 0.05
_RESAMPLES = 10_000


@dataclass(frozen=True)
class Interval:
    """An interval of 95 % confidence."""

    low: float
    high: float

    @property
    def has_zero(self) -> bool:
        """Whether it has zero in it, and so does not tell the sign."""
        return self.low <= 0 <= self.high


@dataclass(frozen=True)
class Comparison:
    """The difference of a metric between two upsamplers, in percentage points.

    Attributes:
        first (str): Title of one, whose metric is subtracted.
        second (str): Title of the other.
        seeds (int): The number of seeds that both have, n.
        difference (float): Mean over the seeds.
        over_seeds (Interval): Student's t interval of the n paired differences, n - 1 degrees of
            freedom: how much another seed may change.
        p (float): Of the paired t test, adjusted by Holm's method for all comparisons planned.
        over_images (Interval): Percentiles of a bootstrap over blocks of images: how much other
            test images may change. They are those of Hesterberg (2015), "expanded" for few blocks.
    """

    first: str
    second: str
    seeds: int
    difference: float
    over_seeds: Interval
    p: float
    over_images: Interval

    @property
    def is_resolved(self) -> bool:
        """Whether neither seeds nor test images explain it, at a level of 5 %."""
        return self.p < _LEVEL and not self.over_images.has_zero


def compare_all(
    results: dict[str, dict[int, StudyResult]], measure: str, planned: int
) -> list[Comparison]:
    """Compare each upsampler with each, where they share two seeds or more.

    Args:
        results (dict[str, dict[int, StudyResult]]): By title and seed.
        measure (str): One of the measures of ``PixelCounts``, whose mean over the classes counts.
        planned (int): The number of pairs when all runs are finished. Adjusted for it, what is
            resolved before stays so.

    Returns:
        list[Comparison]: A comparison for each pair.
    """
    comparisons = []
    for (first, theirs), (second, ours) in combinations(results.items(), 2):
        seeds = sorted(theirs.keys() & ours.keys())
        if len(seeds) > 1:
            pairs = [(theirs[seed], ours[seed]) for seed in seeds]
            comparisons.append(_compare(first, second, pairs, measure))
    adjusted = holm([comparison.p for comparison in comparisons], planned)
    return [replace(c, p=p) for c, p in zip(comparisons, adjusted, strict=True)]


def _compare(
    first: str, second: str, pairs: Sequence[tuple[StudyResult, StudyResult]], measure: str
) -> Comparison:
    values = np.array([[result.test.mean(measure) for result in pair] for pair in pairs])
    test = stats.ttest_rel(values[:, 1], values[:, 0])
    interval = test.confidence_interval(1 - _LEVEL)
    return Comparison(
        first,
        second,
        len(pairs),
        float(np.diff(values).mean()),
        Interval(float(interval.low), float(interval.high)),
        float(np.nan_to_num(test.pvalue, nan=1.0)),  # NaN where nothing differs
        _bootstrap(pairs, measure),
    )


def holm(p: Sequence[float], planned: int) -> list[float]:
    """Adjust p values for the number of tests planned by Holm's step-down method (1979)."""
    adjusted, largest = [0.0] * len(p), 0.0
    for rank, index in enumerate(sorted(range(len(p)), key=p.__getitem__)):
        largest = max(largest, min(1.0, (planned - rank) * p[index]))
        adjusted[index] = largest
    return adjusted


def _bootstrap(pairs: Sequence[tuple[StudyResult, StudyResult]], measure: str) -> Interval:
    """Interval of the mean difference over the seeds if blocks of images are drawn anew."""
    blocks = len(pairs[0][0].test.images)
    if blocks == 1:
        return Interval(-np.inf, np.inf)  # tells no spread
    rng = np.random.default_rng(0)
    # How often each block is drawn.
    draws = rng.multinomial(blocks, np.full(blocks, 1 / blocks), _RESAMPLES)
    differences = []
    for pair in pairs:
        theirs, ours = (
            np.nanmean(ious_of(np.tensordot(draws, counts, 1)), 1)
            for counts in (r.test.counts[:, r.test.measures.index(measure)] for r in pair)
        )
        differences.append(ours - theirs)
    # Means of n draws vary by √((n - 1) / n) too little, and n values tell their spread as t does.
    wide = stats.t.ppf(1 - _LEVEL / 2, blocks - 1) * np.sqrt(blocks / (blocks - 1))
    edges = [100 * stats.norm.cdf(sign * wide) for sign in (-1, 1)]
    low, high = np.percentile(np.mean(differences, axis=0), edges)
    return Interval(float(low), float(high))
