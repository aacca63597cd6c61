"""COCO's rules one by one, then random segments against a slow implementation."""

import numpy as np
import pytest

from . import slow_panoptic

pytest.importorskip('mmengine')

from sapa_mm.evaluation.panoptic_quality import average_quality, count_matches, panoptic_quality
from sapa_mm.utils.coco_panoptic import Segments, find_segments

CLASSES = 3


def row(*runs):
    """A map of one row: (id, number of pixels), ..."""
    return np.concatenate([np.full(length, number) for number, length in runs])[None]


def count(truth, prediction, true_segments, predicted_segments):
    """Segments are (id, label) or (id, label, crowd). Also checks the slow implementation."""
    whole = [
        [(*s, False)[:3] for s in segments] for segments in (true_segments, predicted_segments)
    ]
    maps = (truth, prediction)
    made = [
        Segments.make(id_map, *(zip(*segments, strict=True) if segments else ([], [], [])))
        for id_map, segments in zip(maps, whole, strict=True)
    ]
    counts = count_matches(*made, CLASSES)
    slow = slow_panoptic.count(truth.tolist(), whole[0], prediction.tolist(), whole[1], CLASSES)
    np.testing.assert_allclose(counts, slow, rtol=0, atol=1e-12)
    return counts.tolist()


NONE = [0, 0, 0, 0]


def test_a_match():
    counts = count(row((1, 10)), row((5, 8), (0, 2)), [(1, 0)], [(5, 0)])
    assert counts == [[0.8, 1, 0, 0], NONE, NONE]


@pytest.mark.parametrize(('pixels', 'matches'), [(4, False), (5, False), (6, True)])
def test_a_match_needs_more_than_half(pixels, matches):
    counts = count(row((1, 10)), row((5, pixels), (0, 10 - pixels)), [(1, 0)], [(5, 0)])
    assert counts[0] == ([pixels / 10, 1, 0, 0] if matches else [0, 0, 1, 1])


def test_half_is_decided_in_integers():
    """2e15 / 4e15 is a half in any arithmetic, 1/3 of 3 is not: an IoU just above."""
    counts = count(row((1, 101)), row((5, 51), (0, 50)), [(1, 0)], [(5, 0)])
    assert counts[0] == [51 / 101, 1, 0, 0]


def test_another_class_does_not_match():
    counts = count(row((1, 10)), row((5, 10)), [(1, 0)], [(5, 1)])
    assert counts == [[0, 0, 0, 1], [0, 0, 1, 0], NONE]


def test_void_pixels_are_no_part_of_the_union():
    """5 of 9 with them, 5 of 5 without."""
    counts = count(row((1, 5), (0, 4)), row((5, 9)), [(1, 0)], [(5, 0)])
    assert counts[0] == [1, 1, 0, 0]


@pytest.mark.parametrize(('on_void', 'counted'), [(4, 1), (5, 1), (6, 0)])
def test_predictions_mostly_on_void_are_ignored(on_void, counted):
    """Of ten pixels; the others lie on another class."""
    counts = count(row((0, on_void), (1, 50)), row((5, 10), (0, on_void + 40)), [(1, 1)], [(5, 0)])
    assert counts[0] == [0, 0, counted, 0]


def test_crowd_matches_nothing_and_is_not_missed():
    counts = count(row((1, 10)), row((5, 10)), [(1, 0, True)], [(5, 0)])
    assert counts == [NONE, NONE, NONE]
    counts = count(row((1, 10)), row((0, 10)), [(1, 0, True)], [])
    assert counts == [NONE, NONE, NONE]


@pytest.mark.parametrize(('on_crowd', 'counted'), [(4, 1), (5, 1), (6, 0)])
def test_predictions_mostly_on_crowd_of_their_class_are_ignored(on_crowd, counted):
    truth, prediction = row((1, on_crowd), (2, 50)), row((5, 10), (0, on_crowd + 40))
    assert count(truth, prediction, [(1, 0, True), (2, 1)], [(5, 0)])[0] == [0, 0, counted, 0]


def test_crowd_of_another_class_excuses_nothing():
    counts = count(row((1, 10)), row((5, 10)), [(1, 1, True)], [(5, 0)])
    assert counts[0] == [0, 0, 1, 0]


def test_void_and_all_crowds_of_a_class_count_together():
    """2 + 2 + 2 of ten."""
    truth = row((0, 2), (1, 2), (2, 2), (3, 50))
    prediction = row((5, 10), (0, 46))
    counts = count(truth, prediction, [(1, 0, True), (2, 0, True), (3, 1)], [(5, 0)])
    assert counts[0] == NONE


def test_each_segment_matches_once():
    """Two instances, both matched; the third prediction is wrong."""
    truth, prediction = row((1, 10), (2, 10)), row((5, 7), (6, 3), (7, 10))
    counts = count(truth, prediction, [(1, 0), (2, 0)], [(5, 0), (6, 0), (7, 0)])
    assert counts[0] == [1.7, 2, 1, 0]


def test_nothing_predicted_and_nothing_true():
    empty = row((0, 10))
    assert count(row((1, 10)), empty, [(1, 2)], []) == [NONE, NONE, [0, 0, 0, 1]]
    assert count(empty, row((5, 10)), [], [(5, 2)]) == [NONE, NONE, NONE]  # all of it on VOID
    assert count(empty, empty, [], []) == [NONE, NONE, NONE]


def test_qualities():
    counts = np.array([[1.5, 2, 1, 1], [0, 0, 0, 0], [0, 0, 1, 3]])
    expected = [[50, 75, 100 * 2 / 3], [0, 0, 0], [0, 0, 0]]
    np.testing.assert_allclose(panoptic_quality(counts), expected)


def test_average_leaves_out_classes_that_do_not_occur():
    counts = np.array([[1.5, 2, 1, 1], [0, 0, 0, 0], [0, 0, 1, 3]])
    average, number = average_quality(counts)
    np.testing.assert_allclose(average, [25, 37.5, 100 / 3])
    assert number == 2


def test_things_and_stuff_are_averaged_apart():
    counts = np.array([[1.0, 1, 0, 0], [0.8, 1, 0, 0], [0.6, 1, 0, 0]])
    things = np.array([True, True, False])
    assert average_quality(counts, things)[0][0] == pytest.approx(90)
    assert average_quality(counts, ~things)[0][0] == pytest.approx(60)
    assert average_quality(counts, np.zeros(3, bool)) == (pytest.approx(np.zeros(3)), 0)


def test_average_of_nothing_is_zero():
    average, number = average_quality(np.zeros((3, 4)))
    assert (average.tolist(), number) == ([0, 0, 0], 0)


def random_segments(rng, size, crowd):
    """Blocks of ids with ragged borders; 0 stays VOID. Ids are not in order."""
    blocks = rng.integers(0, 6, (3, 3))
    id_map = np.kron(blocks, np.ones((size, size), int))
    noise = rng.random(id_map.shape) < 0.15
    id_map[noise] = rng.integers(0, 6, noise.sum())
    id_map = rng.permutation([0, 9_000_000, 77, 300, 65_536, 2])[id_map]
    id_map[0, 0] = rng.choice([0, 12])
    ids = [i for i in np.unique(id_map).tolist() if i]
    rng.shuffle(ids)
    labels = rng.integers(0, CLASSES - 1, len(ids)).tolist()
    return id_map, list(zip(ids, labels, (rng.random(len(ids)) < crowd).tolist(), strict=True))


@pytest.mark.parametrize('seed', range(60))
def test_random_segments(seed):
    """Every other prediction is a perturbed truth, so that there are matches."""
    rng = np.random.default_rng(seed)
    truth, true_segments = random_segments(rng, 4, crowd=0.25)
    prediction, predicted = random_segments(rng, 4, crowd=0)
    if seed % 2:
        prediction = np.where(rng.random(truth.shape) < 0.25, 0, truth)
        left = set(np.unique(prediction))
        predicted = [(i, label, False) for i, label, _ in true_segments if i in left]
    counts = np.array(count(truth, prediction, true_segments, predicted))
    expected = slow_panoptic.quality(counts.tolist())
    np.testing.assert_allclose(average_quality(counts)[0], expected, rtol=0, atol=1e-12)


@pytest.mark.parametrize('seed', range(5))
def test_a_perfect_prediction_is_exactly_100(seed):
    truth, segments = random_segments(np.random.default_rng(seed), 4, crowd=0)
    average, _ = average_quality(np.array(count(truth, truth, segments, segments)))
    assert average.tolist() == [100, 100, 100]


def segments(id_map, ids):
    return Segments.make(np.array(id_map), ids, [0] * len(ids))


@pytest.mark.parametrize(
    ('id_map', 'ids', 'message'),
    [
        ([[1, 7, 9, 0]], [1], r'the truth has 2 id\(s\), 7, 9, among its pixels but not among'),
        ([[1, 0]], [1, 5, 6, 7, 8], r'has 4 id\(s\), 5, 6, 7, \.\.\., among its segments but not'),
        ([[1, 2]], [1, 2, 2], 'must be distinct and not 0'),
        ([[1, 0]], [1, 0], 'must be distinct and not 0'),
        ([[1, -1]], [1], r'has 1 id\(s\), -1, among its pixels'),
    ],
)
def test_maps_that_do_not_fit_their_segments(id_map, ids, message):
    with pytest.raises(ValueError, match=message):
        find_segments(segments(id_map, ids), 'truth')


def test_maps_of_different_sizes():
    one, other = segments([[1, 1]], [1]), segments([[1], [1]], [1])
    with pytest.raises(ValueError, match=r'the prediction has \(H, W\) = \(2, 1\), the truth has'):
        count_matches(one, other, CLASSES)
