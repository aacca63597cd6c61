"""The statistics of the study against their definitions."""

import math

import numpy as np
import pytest

pytest.importorskip('mmseg')

from sapa_mm.reproduction.study.comparisons import Interval, compare_all, holm
from sapa_mm.reproduction.study.pixel_counts import PixelCounts
from sapa_mm.reproduction.study.study_results import StudyResult
from sapa_mm.reproduction.training_result import TrainingResult

#: Student's t, two-sided 95 %, from a printed table, by degrees of freedom.
T_TABLE = {1: 12.706, 2: 4.303, 4: 2.776}
MEASURES = ['IoU', 'bIoU']


def result(counts, seed=0):
    """A result whose counts are (blocks, measures, 2, classes)."""
    blocks, _, _, classes = counts.shape
    test = PixelCounts(
        [f'class {n}' for n in range(classes)], MEASURES, ['a'] * blocks, [20] * blocks, counts
    )
    training = TrainingResult({}, 1, 0.5, 10, 'cpu')
    return StudyResult('Bilinear', '', seed, {'iterations': 4}, 'hash', training, {}, test)


def random_counts(rng, blocks=6, classes=4):
    union = rng.integers(50, 100, (blocks, 2, classes))
    return np.stack([rng.integers(10, 50, union.shape), union], 2)


def literal_mean(counts):
    """Mean IoU of (blocks, 2, classes), class by class."""
    values = []
    for label in range(counts.shape[-1]):
        intersection, union = (sum(int(block[i][label]) for block in counts) for i in (0, 1))
        if union:
            values.append(100 * intersection / union)
    return sum(values) / len(values)


@pytest.mark.parametrize('seeds', [2, 3, 5])
def test_intervals_over_seeds(seeds):
    """mean ± t s / √n of the paired differences, with t of a printed table."""
    rng = np.random.default_rng(seeds)
    runs = {
        title: {seed: result(random_counts(rng), seed) for seed in range(seeds)}
        for title in ('A', 'B')
    }
    for index, measure in enumerate(MEASURES):
        (comparison,) = compare_all(runs, measure, 1)
        means = [
            [literal_mean(run.test.counts[:, index]) for run in by_seed.values()]
            for by_seed in runs.values()
        ]
        differences = [b - a for a, b in zip(*means, strict=True)]
        mean = sum(differences) / seeds
        deviation = math.sqrt(sum((d - mean) ** 2 for d in differences) / (seeds - 1))
        half = T_TABLE[seeds - 1] * deviation / math.sqrt(seeds)
        assert comparison.difference == pytest.approx(mean)
        assert comparison.over_seeds.low == pytest.approx(mean - half, rel=1e-3)
        assert comparison.over_seeds.high == pytest.approx(mean + half, rel=1e-3)
        # At the edge of a 95 % interval, p is 5 %.
        assert (comparison.p < 0.05) == (not comparison.over_seeds.has_zero)


def test_holm():
    """The example of Holm (1979): the smallest times m, then times m - 1, never decreasing."""
    assert holm([0.01, 0.04, 0.03, 0.005], 4) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert holm([0.6, 0.9], 2) == [1.0, 1.0]
    assert holm([], 6) == []
    # Of tests that are still to be made, none can undo what is resolved.
    assert holm([0.01, 0.02], 6) == pytest.approx([0.06, 0.1])


def test_the_adjustment_is_for_all_pairs():
    rng = np.random.default_rng(0)
    runs = {t: {s: result(random_counts(rng)) for s in range(3)} for t in 'ABC'}
    three = {(c.first, c.second): c for c in compare_all(runs, 'IoU', 3)}
    assert list(three) == [('A', 'B'), ('A', 'C'), ('B', 'C')]
    single = [compare_all({k: runs[k] for k in pair}, 'IoU', 1)[0].p for pair in three]
    assert [c.p for c in three.values()] == pytest.approx(holm(single, 3))


def test_only_shared_seeds_count():
    rng = np.random.default_rng(0)
    runs = {'A': {0: result(random_counts(rng)), 1: result(random_counts(rng))}}
    runs['B'] = {1: result(random_counts(rng)), 2: result(random_counts(rng))}
    assert compare_all(runs, 'IoU', 1) == []  # one shared seed tells no spread
    runs['B'][0] = result(random_counts(rng))
    (comparison,) = compare_all(runs, 'IoU', 1)
    assert comparison.seeds == 2


def test_bootstrap_over_blocks():
    """Against drawing blocks one by one; as wide as t times √(n / (n - 1)) of a normal one."""
    rng = np.random.default_rng(1)
    pairs = [(random_counts(rng), random_counts(rng)) for _ in range(2)]
    runs = {
        title: {seed: result(pair[index]) for seed, pair in enumerate(pairs)}
        for index, title in enumerate('AB')
    }
    (comparison,) = compare_all(runs, 'bIoU', 1)
    draws = np.random.default_rng(2)
    differences = []
    for _ in range(4000):
        chosen = draws.integers(0, 6, 6)
        differences.append(
            np.mean([literal_mean(b[chosen, 1]) - literal_mean(a[chosen, 1]) for a, b in pairs])
        )
    outside = math.erfc(2.571 * math.sqrt(6 / 5) / math.sqrt(2)) / 2  # t of 5, from a table
    low, high = comparison.over_images.low, comparison.over_images.high
    assert np.mean(np.array(differences) < low) == pytest.approx(outside, abs=0.0025)
    assert np.mean(np.array(differences) > high) == pytest.approx(outside, abs=0.0025)
    assert 0 < np.ptp(differences) < 1.3 * (high - low)


def test_the_bootstrap_covers_as_often_as_it_says():
    """Of the ten blocks of a test set, whose plain percentiles would cover nine times of ten."""
    rng = np.random.default_rng(0)
    covered = 0
    for _ in range(200):
        counts = np.full((10, 2, 2, 1), 10**6)
        counts[:, :, 0] //= 2
        gains = rng.normal(0, 10_000, (10, 1, 1)).astype(int)
        better = counts.copy()
        better[:, :, 0] += gains
        runs = {
            t: {s: result(c + 9 * s) for s in range(2)}
            for t, c in zip('AB', (counts, better), strict=True)
        }
        covered += compare_all(runs, 'IoU', 1)[0].over_images.has_zero
    assert 184 <= covered <= 197


def test_one_block_tells_no_spread():
    rng = np.random.default_rng(0)
    runs = {t: {s: result(random_counts(rng, blocks=1)) for s in range(2)} for t in 'AB'}
    assert compare_all(runs, 'IoU', 1)[0].over_images == Interval(-math.inf, math.inf)


def test_resolved_only_if_neither_seeds_nor_images_explain_it():
    rng = np.random.default_rng(0)
    counts = random_counts(rng)
    better = counts.copy()
    better[:, :, 0] += 30
    runs = {'A': {}, 'B': {}}
    for seed in range(3):
        noise = rng.integers(0, 3, counts.shape)
        runs['A'][seed], runs['B'][seed] = result(counts + noise), result(better + noise)
    (comparison,) = compare_all(runs, 'IoU', 1)
    assert comparison.difference > 10
    assert comparison.is_resolved
    # One block alone makes the difference: other images might not.
    lone = counts.copy()
    lone[0, :, 0] += 30
    runs['B'] = {seed: result(lone + rng.integers(0, 2, counts.shape)) for seed in range(3)}
    runs['A'] = {seed: result(counts + rng.integers(0, 2, counts.shape)) for seed in range(3)}
    (comparison,) = compare_all(runs, 'IoU', 1)
    assert comparison.p < 0.05
    assert comparison.over_images.has_zero
    assert not comparison.is_resolved
    # Nothing differs at all.
    (comparison,) = compare_all({'A': runs['A'], 'B': runs['A']}, 'IoU', 1)
    assert (comparison.difference, comparison.p, comparison.is_resolved) == (0, 1, False)
    assert comparison.over_images == Interval(0, 0)
