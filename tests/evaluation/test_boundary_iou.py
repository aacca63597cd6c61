"""Boundary IoU against its definition written out: mask by mask, erosion by erosion."""

import numpy as np
import pytest
import torch

pytest.importorskip('mmengine')

from mmengine.registry import METRICS

from sapa_mm.evaluation import BoundaryIoUMetric
from sapa_mm.evaluation.boundary_iou import find_boundaries


def slow_boundary(mask, iterations):
    """The mask minus its erosion with a 3x3 square, where the image's border counts as outside."""
    eroded = np.pad(mask, 1)
    for _ in range(iterations):
        shifted = np.pad(eroded, 1)
        height, width = eroded.shape
        eroded = np.stack(
            [shifted[i : i + height, j : j + width] for i in range(3) for j in range(3)]
        ).all(0)
    return mask & ~eroded[1:-1, 1:-1]


def slow_biou(images, classes, distance=0.02, ignore_index=255):
    """Per class: intersection over union of the boundaries, or None where there is none."""
    ious = []
    for label in range(classes):
        intersection = union = 0
        for prediction, truth in images:
            prediction = prediction.copy()
            prediction[truth == ignore_index] = ignore_index
            height, width = truth.shape
            share = isinstance(distance, float)
            d = max(1, round(distance * (height**2 + width**2) ** 0.5)) if share else distance
            ours = slow_boundary((prediction == label) & (truth != ignore_index), d)
            theirs = slow_boundary(truth == label, d)
            intersection += (ours & theirs).sum()
            union += (ours | theirs).sum()
        ious.append(intersection / union if union else None)
    return ious


def blobs(rng, height, width, classes, side):
    """Random patches of labels, so that masks have an interior."""
    rows, columns = -(-height // side), -(-width // side)
    patches = rng.integers(0, classes, (rows, columns))
    return np.kron(patches, np.ones((side, side), int))[:height, :width]


def measure(images, classes, **options):
    metric = BoundaryIoUMetric(**options)
    metric.dataset_meta = dict(classes=[f'class {label}' for label in range(classes)])
    for prediction, truth in images:
        maps = {'pred_sem_seg': prediction, 'gt_sem_seg': truth}
        metric.process(
            {}, [{key: dict(data=torch.from_numpy(labels)[None]) for key, labels in maps.items()}]
        )
    return metric.evaluate(len(images))


def check(images, classes, **options):
    expected = slow_biou(images, classes, options.get('distance', 0.02))
    metrics = measure(images, classes, classwise=True, **options)
    occurring = [value for value in expected if value is not None]
    assert metrics.pop('bIoU') == pytest.approx(100 * np.mean(occurring))
    wanted = {f'class {n}_bIoU': 100 * v for n, v in enumerate(expected) if v is not None}
    assert metrics == pytest.approx(wanted)


@pytest.mark.parametrize('seed', range(6))
@pytest.mark.parametrize('distance', [0.001, 0.02, 0.1, 0.99, 1, 3, 40])
def test_random_masks(distance, seed):
    rng = np.random.default_rng(seed)
    images = []
    for height, width in ((31, 47), (64, 40), (9, 5), (1, 7)):
        truth = blobs(rng, height, width, 5, 8)
        prediction = np.where(rng.random(truth.shape) < 0.1, rng.integers(0, 5, truth.shape), truth)
        truth[rng.random(truth.shape) < 0.05] = 255
        images.append((np.roll(prediction, 2, 1), truth))
    check(images, 5, distance=distance)


def test_the_default_is_the_papers():
    """2 % of the diagonal; any distance beyond the image's size leaves the IoU."""
    rng = np.random.default_rng(0)
    truth, prediction = (blobs(rng, 360, 480, 4, 40) for _ in range(2))
    default = measure([(prediction, truth)], 4)
    assert default == measure([(prediction, truth)], 4, distance=12)
    assert default != measure([(prediction, truth)], 4, distance=11)
    ious = [
        ((prediction == n) & (truth == n)).sum() / ((prediction == n) | (truth == n)).sum()
        for n in range(4)
    ]
    whole = measure([(prediction, truth)], 4, distance=10**9)
    assert whole['bIoU'] == pytest.approx(100 * np.mean(ious))


def test_noise():
    """Objects of single pixels everywhere."""
    rng = np.random.default_rng(0)
    check([(rng.integers(0, 4, (30, 40)), rng.integers(0, 4, (30, 40)))], 4)


def test_single_pixels_and_borders():
    truth, prediction = np.zeros((60, 80), int), np.zeros((60, 80), int)
    truth[20, 30] = truth[59, 79] = prediction[20, 31] = prediction[59, 79] = 1
    truth[:10, :12] = prediction[:10, :11] = 2
    truth[40:, 60:79] = 3
    check([(prediction, truth)], 5)


def test_absent_classes():
    truth = np.zeros((20, 20), int)
    metrics = measure([(truth, truth)], 3, classwise=True)
    assert metrics == {'bIoU': 100, 'class 0_bIoU': 100}


def test_only_predicted_or_only_true():
    truth, prediction = np.zeros((40, 40), int), np.zeros((40, 40), int)
    prediction[10:20, 10:20], truth[25:35, 25:35] = 1, 2
    metrics = measure([(prediction, truth)], 4, classwise=True)
    assert metrics['class 1_bIoU'] == metrics['class 2_bIoU'] == 0
    assert 'class 3_bIoU' not in metrics
    assert metrics['bIoU'] == pytest.approx(metrics['class 0_bIoU'] / 3)


def test_ignored_pixels_do_not_count():
    rng = np.random.default_rng(1)
    truth = blobs(rng, 40, 40, 3, 10)
    truth[5:15, 8:22] = 255
    prediction = blobs(rng, 40, 40, 3, 10)
    other = prediction.copy()
    other[5:15, 8:22] = (other[5:15, 8:22] + 1) % 3
    assert measure([(prediction, truth)], 3) == measure([(other, truth)], 3)
    check([(prediction, truth)], 3)
    assert measure([(prediction, np.full_like(truth, 255))], 3) == {'bIoU': 0}


def test_perfect_and_thickness():
    truth = blobs(np.random.default_rng(2), 100, 100, 6, 30)
    assert measure([(truth, truth)], 6) == {'bIoU': 100}
    # 0.02 of a diagonal of 141 pixels is 2.8: three pixels on each side of an edge.
    halves = np.zeros((100, 100), int)
    halves[:, 50:] = 1
    inner = find_boundaries(halves, 3)[10:90]
    assert np.flatnonzero(inner.any(0)).tolist() == [0, 1, 2, *range(47, 53), 97, 98, 99]


class TestBadInput:
    truth = np.zeros((8, 8), int)

    @pytest.mark.parametrize(
        ('options', 'message'),
        [
            (dict(num_workers=0), 'num_workers must be a positive integer, got 0'),
            (dict(num_workers=1.5), 'num_workers must be a positive integer, got 1.5'),
            *(
                (dict(distance=value), f'distance must be an integer of 1 or more, .*, got {value}')
                for value in (0, -3, 0.0, 1.0, 3.0, True, float('nan'), float('inf'), None)
            ),
        ],
    )
    def test_arguments(self, options, message):
        with pytest.raises(ValueError, match=f'^BoundaryIoUMetric: {message}'):
            BoundaryIoUMetric(**options)

    @pytest.mark.parametrize(
        ('prediction', 'truth', 'message'),
        [
            (truth, truth + 3, r'the truth has label 3, the dataset has the classes 0\.\.2'),
            (truth + 7, truth, 'the prediction has label 7'),
            (truth, truth - 1, 'the truth has label -1'),
            (truth[:4], truth, r'the prediction is \(4, 8\), the truth \(8, 8\)'),
        ],
    )
    def test_labels(self, prediction, truth, message):
        with pytest.raises(ValueError, match=f'^BoundaryIoUMetric: image .*: {message}'):
            measure([(prediction, truth)], 3)


def test_a_thresholded_prediction_is_float():
    """As mmseg gives it where out_channels is 1."""
    truth = blobs(np.random.default_rng(0), 40, 40, 2, 10)
    prediction = np.roll(truth, 3, 1)
    expected = measure([(prediction, truth)], 2)
    assert measure([(prediction.astype(np.float32), truth)], 2) == expected


def test_without_labels():
    sample = {'img_path': 'a.png', 'pred_sem_seg': {'data': torch.zeros(1, 4, 4)}}
    with pytest.raises(ValueError, match=r'image a.png has no labels: .* out of test_evaluator$'):
        BoundaryIoUMetric().process({}, [sample])


def test_errors_of_other_kinds_name_the_image(monkeypatch):
    """UnicodeDecodeError is a ValueError that cannot be built from a message alone."""
    metric = BoundaryIoUMetric()
    monkeypatch.setattr(metric, 'prepare', lambda sample: ())
    monkeypatch.setattr(metric, 'evaluate_image', lambda: b'\xff'.decode())
    metric.process(None, [dict(img_path='a.png')])
    with pytest.raises(ValueError, match=r"image a.png: 'utf-8' codec can't decode"):
        metric.evaluate(1)


def test_builds_from_the_registry():
    metric = METRICS.build(dict(type='BoundaryIoUMetric', distance=3))
    assert metric.distance == 3
