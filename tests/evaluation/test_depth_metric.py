"""The metrics of depth against their definitions written out, pixel by pixel."""

import math
import statistics

import numpy as np
import pytest
import torch

pytest.importorskip('mmseg')

import torch.distributed
from mmengine.dataset import DefaultSampler
from mmengine.evaluator import Evaluator
from mmengine.registry import init_default_scope
from mmengine.structures import PixelData
from mmseg.evaluation import DepthMetric
from mmseg.registry import METRICS
from mmseg.structures import SegDataSample
from PIL import Image

from sapa_mm.evaluation.depth_metric import MonocularDepthMetric

NAMES = ('d1', 'd2', 'd3', 'abs_rel', 'sq_rel', 'rmse', 'rmse_log', 'log10', 'silog')
SIZES = ((7, 9), (1, 6), (12, 5), (1, 1), (8, 8), (3, 11), (6, 7))


def slow_metrics(images, low, high, rows=slice(None), columns=slice(None)):
    """Each metric's mean over the images, one pixel after the other."""
    sums = []
    for prediction, truth in images:
        pairs = []
        cut = (prediction[rows, columns].flat, truth[rows, columns].flat)
        for one, other in zip(*cut, strict=True):
            if low < other < high:
                pairs.append((min(max(float(one), low), high), float(other)))
        if not pairs:
            continue
        n = len(pairs)
        ratios = [max(z / y, y / z) for y, z in pairs]
        logs = [math.log(y) - math.log(z) for y, z in pairs]
        squares = math.fsum(d * d for d in logs) / n
        sums.append(
            [
                sum(ratio < 1.25 for ratio in ratios) / n,
                sum(ratio < 1.25 * 1.25 for ratio in ratios) / n,
                sum(ratio < 1.25 * 1.25 * 1.25 for ratio in ratios) / n,
                math.fsum(abs(z - y) / z for y, z in pairs) / n,
                math.fsum((z - y) ** 2 / z for y, z in pairs) / n,
                math.sqrt(math.fsum((z - y) ** 2 for y, z in pairs) / n),
                math.sqrt(squares),
                math.fsum(abs(math.log10(z) - math.log10(y)) for y, z in pairs) / n,
                math.sqrt(squares - (math.fsum(logs) / n) ** 2 / 2),
            ]
        )
    return dict(zip(NAMES, map(statistics.mean, zip(*sums, strict=True)), strict=True))


def random_images(seed, sizes=SIZES):
    """Predictions and depth of 0 to 12 m with holes, float32; the fourth has none."""
    rng = np.random.default_rng(seed)
    images = []
    for number, size in enumerate(sizes):
        truth = rng.uniform(0, 12, size) * (rng.random(size) > 0.3) * (number != 3)
        prediction = truth * np.exp(rng.normal(0, 0.3, size)) + rng.normal(0, 0.1, size)
        images.append((prediction.astype(np.float32), truth.astype(np.float32)))
    return images


def make_samples(images):
    samples = []
    for number, (prediction, truth) in enumerate(images):
        sample = SegDataSample(metainfo=dict(img_path=f'folder/room_{number}.jpg'))
        sample.pred_depth_map = PixelData(data=torch.from_numpy(prediction)[None])
        if truth is not None:
            sample.gt_depth_map = PixelData(data=torch.from_numpy(truth)[None])
        samples.append(sample)
    return samples


def measure(images, batch=2, size=None, **options):
    init_default_scope('mmseg')
    evaluator = Evaluator([MonocularDepthMetric(**options)])
    samples = make_samples(images)
    for start in range(0, len(samples), batch):
        evaluator.process(samples[start : start + batch])
    return evaluator.evaluate(size or len(samples))


@pytest.mark.parametrize('seed', range(4))
@pytest.mark.parametrize('range_', [(1e-3, 10.0), (2.5, 6.0), (0.5, math.inf)])
def test_against_the_slow_implementation(range_, seed):
    images = random_images(seed)
    found = measure(images, min_depth_eval=range_[0], max_depth_eval=range_[1])
    assert found == pytest.approx(slow_metrics(images, *range_), abs=1e-12, rel=1e-12)
    assert tuple(found) == NAMES
    assert 0.1 < found['d1'] < found['d2'] <= found['d3'] <= 1


def test_eigens_cut():
    images = random_images(0, [(480, 640)])
    found = measure(images, crop_type='nyu_crop')
    # Counted from 0, the last row and column included.
    cut = (slice(45, 471), slice(41, 601))
    assert found == pytest.approx(slow_metrics(images, 1e-3, 10, *cut), abs=1e-12, rel=1e-12)
    assert found != measure(images)


def test_the_hosts_own_metric_is_close():
    """In float32, of predictions within the range, and without images that have no depth."""
    images = [(p.clip(1e-3, 10), t) for p, t in random_images(1) if t.any()]
    theirs = DepthMetric(min_depth_eval=1e-3, max_depth_eval=10.0)
    theirs.process({}, [sample.to_dict() for sample in make_samples(images)])
    assert measure(images) == pytest.approx(theirs.evaluate(len(images)), rel=1e-5)


def test_a_perfect_prediction():
    truth = random_images(0)[0][1]
    expected = dict.fromkeys(NAMES, 0.0) | {'d1': 1, 'd2': 1, 'd3': 1}
    assert measure([(truth, truth)]) == expected


def test_the_ends_of_the_range_are_outside():
    """As 16-bit files hold them: 1 mm and 10 m, read as float32."""
    truth = np.array([[1, 2000, 10000]]).astype(np.float32) * 1e-3
    prediction = np.array([[5, 2, 5]], np.float32)
    assert measure([(prediction, truth)])['abs_rel'] == 0


def test_half_precision_predictions():
    """The truth is not rounded to it."""
    (prediction, truth), *_ = random_images(2)
    half = prediction.astype(np.float16)
    assert measure([(half, truth)]) == measure([(half.astype(np.float32), truth)])


def test_some_metrics():
    images = random_images(0)
    everything = measure(images)
    wanted = ['rmse', 'd1']
    assert measure(images, depth_metrics=wanted) == {name: everything[name] for name in wanted}


def test_numbers_are_kept_not_pixels():
    metric = MonocularDepthMetric()
    images = random_images(0)
    metric.process({}, [sample.to_dict() for sample in make_samples(images)])
    assert len(metric.results) == len(images)
    assert metric.results[3] == {}
    assert all(type(value) is float for value in metric.results[0].values())


def test_images_that_a_sampler_repeats_count_once():
    images = random_images(0)
    assert measure([*images, images[0]], size=len(images)) == measure(images)


def _measure_half(rank, folder):
    torch.distributed.init_process_group(
        'gloo', init_method=f'file://{folder}/store', rank=rank, world_size=2
    )
    images = random_images(0)
    # Seven images: the last of the second process is the first one again.
    half = [images[index] for index in DefaultSampler(images, shuffle=False)]
    assert len(half) == 4
    torch.save(measure(half, size=len(images)), f'{folder}/{rank}.pt')
    torch.distributed.destroy_process_group()


def test_two_processes_equal_one(tmp_path):
    torch.multiprocessing.spawn(_measure_half, [tmp_path], nprocs=2)
    expected = measure(random_images(0))
    for rank in range(2):
        assert torch.load(tmp_path / f'{rank}.pt') == pytest.approx(expected, abs=1e-12, rel=1e-12)


def test_files(tmp_path):
    """Beside the metrics, and without ground truth with ``format_only``."""
    images = random_images(0)[:3]
    assert measure(images, output_dir=str(tmp_path / 'a')) == measure(images)
    without = [(prediction, None) for prediction, _ in images]
    assert measure(without, output_dir=str(tmp_path / 'b'), format_only=True) == {}
    for number, (prediction, _) in enumerate(images):
        for folder in ('a', 'b'):
            written = np.array(Image.open(tmp_path / folder / f'room_{number}.png'))
            assert written.dtype == np.uint16
            assert np.abs(written / 1000 - prediction.clip(1e-3, 10)).max() < 0.000501
    assert len(list(tmp_path.rglob('*'))) == 2 + 6


class TestBadInput:
    truth = np.full((4, 6), 2.0, np.float32)

    @pytest.mark.parametrize(
        ('options', 'message'),
        [
            (dict(depth_metrics=['d1', 'd4']), r"depth_metrics must be a list of d1, .*'d4'\]"),
            (dict(depth_metrics='d1'), "depth_metrics must be a list of .* got 'd1'"),
            (dict(depth_metrics=[]), r'depth_metrics must be a list of .* got \[\]'),
            (dict(min_depth_eval=0), '0 < min_depth_eval < max_depth_eval must hold, got 0 and 10'),
            (dict(max_depth_eval=1e-3), '0 < min_depth_eval < .*, got 0.001 and 0.001'),
            (dict(max_depth_eval=math.nan), '0 < min_depth_eval < .* and nan'),
            (dict(crop_type='eigen'), "crop_type must be None or 'nyu_crop', got 'eigen'"),
            (dict(format_only=True), 'format_only needs output_dir, got None'),
            (dict(output_dir='a', max_depth_eval=80), 'max_depth_eval .* 65535, .* got 80000.0'),
        ],
    )
    def test_arguments(self, options, message, tmp_path, monkeypatch):
        monkeypatch.chdir(tmp_path)
        with pytest.raises(ValueError, match=f'^MonocularDepthMetric: {message}'):
            MonocularDepthMetric(**options)
        assert not list(tmp_path.iterdir())

    @pytest.mark.parametrize(
        ('prediction', 'truth', 'message'),
        [
            (truth[:, :3], truth, r'the prediction is \(1, 4, 3\), the truth \(1, 4, 6\)'),
            (truth * math.nan, truth, 'the predicted depth is NaN or infinite'),
            (truth * math.inf, truth, 'the predicted depth is NaN or infinite'),
            (truth, None, 'it has no depth map: .* out of test_evaluator'),
        ],
    )
    def test_images(self, prediction, truth, message):
        with pytest.raises(ValueError, match=f'^MonocularDepthMetric: image .*_0.jpg: {message}'):
            measure([(prediction, truth)])

    def test_another_size_for_eigens_cut(self):
        message = '0.jpg: crop_type: .* 480 rows and 640 columns, got 4 and 6$'
        with pytest.raises(ValueError, match=message):
            measure([(self.truth, self.truth)], crop_type='nyu_crop')

    def test_no_depth_anywhere(self):
        """Such as millimetres that were not divided by 1000."""
        images = [(self.truth, 1000 * self.truth)] * 3
        with pytest.raises(ValueError, match='none of the 3 images .* 0.001 and 10.0 metres; is'):
            measure(images)


def test_builds_from_the_registry():
    metric = METRICS.build(dict(type='MonocularDepthMetric', depth_metrics=['d1']))
    assert isinstance(metric, DepthMetric)
    assert metric.metrics == ('d1',)
