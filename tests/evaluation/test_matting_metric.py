"""The metrics of mattes of many images: means, files, threads, several processes."""

import csv
import math

import numpy as np
import pytest
import torch

pytest.importorskip('mmengine')
pytest.importorskip('cv2')

import torch.distributed
from mmengine.dataset import DefaultSampler
from mmengine.evaluator import Evaluator
from mmengine.registry import METRICS, init_default_scope
from mmengine.structures import BaseDataElement, PixelData

from sapa_mm.evaluation import MattingMetric
from sapa_mm.evaluation.matting_errors import ERRORS, PROTOCOLS, matting_errors

SIZES = ((20, 31), (16, 16), (9, 40), (25, 8), (12, 12), (30, 21), (17, 17))


def random_images(seed=0, sizes=SIZES):
    """Predictions, truths, trimaps; the fourth has no unknown pixel."""
    rng = np.random.default_rng(seed)
    images = []
    for number, size in enumerate(sizes):
        truth = rng.integers(0, 256, size).astype(np.float32) / 255
        prediction = (truth + rng.normal(0, 0.2, size)).clip(0, 1).astype(np.float32)
        trimap = rng.choice(np.array([0, 128, 255], np.uint8), size)
        images.append((prediction, truth, trimap if number != 3 else 0 * trimap))
    return images


def make_samples(images):
    samples = []
    for number, maps in enumerate(images):
        sample = BaseDataElement(metainfo=dict(img_path=f'folder/hair_{number}.png'))
        for name, data in zip(('pred_alpha', 'gt_alpha', 'trimap'), maps, strict=True):
            if data is not None:
                setattr(sample, name, PixelData(data=torch.as_tensor(data)[None]))
        samples.append(sample)
    return samples


def measure(images, batch=2, size=None, **options):
    init_default_scope('mmengine')
    evaluator = Evaluator([MattingMetric(**options)])
    samples = make_samples(images)
    for start in range(0, len(samples), batch):
        evaluator.process(samples[start : start + batch])
    return evaluator.evaluate(size or len(samples))


@pytest.mark.parametrize('protocol', PROTOCOLS)
def test_means_over_images(protocol):
    images = random_images()
    each = [matting_errors(*maps, protocol) for maps in images]
    expected = {name: np.mean([errors[name] for errors in each]) for name in ERRORS}
    for workers in (1, 3):
        found = measure(images, protocol=protocol, num_workers=workers)
        assert found == pytest.approx(expected, rel=1e-12)
        assert tuple(found) == ERRORS
    assert min(found.values()) > 0


def test_matlab_is_the_default():
    images = random_images()
    assert measure(images) == measure(images, protocol='matlab') != measure(images, protocol='a2u')


def test_numbers_are_kept_not_pixels():
    metric = MattingMetric()
    images = random_images()
    metric.process({}, [sample.to_dict() for sample in make_samples(images)])
    kept = [future.result() for future in metric.results]
    assert len(kept) == len(images)
    assert all(type(value) in (str, int, float) for value in kept[0].values())


def test_a_table_of_each_image(tmp_path):
    images = random_images()
    path = tmp_path / 'scores' / 'images.csv'
    mean = measure(images, csv_file=str(path))
    with open(path, newline='') as file:
        rows = list(csv.DictReader(file))
    assert list(rows[0]) == ['image', 'unknown', *ERRORS]
    assert [row['image'] for row in rows] == [f'folder/hair_{n}.png' for n in range(len(images))]
    assert int(rows[0]['unknown']) == (images[0][2] == 128).sum()
    for name in ERRORS:
        assert np.mean([float(row[name]) for row in rows]) == pytest.approx(mean[name], rel=1e-12)
    assert rows[3] == dict(zip(rows[0], ['folder/hair_3.png', '0', *4 * ['0.0']], strict=True))


def test_images_without_unknown_pixels_are_told(monkeypatch):
    lines = []
    monkeypatch.setattr('sapa_mm.evaluation.matting_metric.log_info', lines.append)
    images = random_images()
    measure(images[:3])
    assert lines == []
    assert measure(images[3:4]) == dict.fromkeys(ERRORS, 0.0)
    assert lines == ['1 of 1 images have no unknown pixel in the trimap: their metrics are 0']


@pytest.mark.parametrize('dtype', [torch.float16, torch.bfloat16])
def test_half_precision_predictions(dtype):
    (prediction, *rest), *_ = random_images()
    half = torch.from_numpy(prediction).to(dtype)
    assert measure([(half, *rest)]) == measure([(half.float(), *rest)])


def test_images_that_a_sampler_repeats_count_once():
    images = random_images()
    assert measure([*images, images[0]], size=len(images)) == measure(images)


def _measure_half(rank, folder):
    torch.distributed.init_process_group(
        'gloo', init_method=f'file://{folder}/store', rank=rank, world_size=2
    )
    images = random_images()
    # Seven images: the last of the second process is the first one again.
    half = [images[index] for index in DefaultSampler(images, shuffle=False)]
    assert len(half) == 4
    torch.save(measure(half, size=len(images)), f'{folder}/{rank}.pt')
    torch.distributed.destroy_process_group()


def test_two_processes_equal_one(tmp_path):
    torch.multiprocessing.spawn(_measure_half, [tmp_path], nprocs=2)
    expected = measure(random_images())
    for rank in range(2):
        assert torch.load(tmp_path / f'{rank}.pt') == expected


class TestBadInput:
    half = np.full((4, 6), 0.5, np.float32)
    trimap = np.full((4, 6), 128, np.uint8)

    @pytest.mark.parametrize(
        ('options', 'message'),
        [
            (dict(protocol='MATLAB'), "protocol must be of matlab, a2u, got 'MATLAB'"),
            (dict(num_workers=0), 'num_workers must be a positive integer, got 0'),
        ],
    )
    def test_arguments(self, options, message):
        with pytest.raises(ValueError, match=f'^MattingMetric: {message}'):
            MattingMetric(**options)

    def test_a_table_that_cannot_be_written(self, tmp_path):
        with pytest.raises(OSError, match='^csv_file: .* is a folder'):
            MattingMetric(csv_file=str(tmp_path))

    @pytest.mark.parametrize(
        ('maps', 'message'),
        [
            ((half[:, :3], half, trimap), r'the predicted alpha is \(4, 3\), the true one \(4, 6'),
            ((half, half, trimap[:3]), r'the predicted alpha .*, the trimap \(3, 6\)'),
            ((half * math.nan, half, trimap), 'the predicted alpha is NaN or infinite; has'),
            ((half, 255 * half, trimap), 'the true alpha must be within .*, got 127.5 to 127.5'),
        ],
    )
    def test_images(self, maps, message):
        with pytest.raises(ValueError, match=f'^MattingMetric: image .*/hair_0.png: {message}'):
            measure([maps])

    @pytest.mark.parametrize(
        ('missing', 'message'),
        [
            (0, 'has no pred_alpha: the model predicts none'),
            (1, 'has no gt_alpha: .* leave this metric out of test_evaluator'),
            (2, 'has no trimap: its pipeline loads none'),
        ],
    )
    def test_missing_parts(self, missing, message):
        maps = [self.half, self.half, self.trimap]
        maps[missing] = None
        with pytest.raises(ValueError, match=f'^MattingMetric: image folder/hair_0.png {message}'):
            measure([maps])


def test_builds_from_the_registry():
    metric = METRICS.build(dict(type='MattingMetric', protocol='a2u'))
    assert metric.protocol == 'a2u'
