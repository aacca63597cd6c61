"""The counts of a test set give what the metrics of the config give."""

import numpy as np
import pytest
import torch

pytest.importorskip('mmseg')

from mmengine.evaluator import Evaluator
from mmengine.registry import MODELS
from mmengine.runner import Runner
from mmseg.registry import DATASETS

from sapa_mm.engine.config import in_scope, read_config
from sapa_mm.reproduction.study.pixel_counts import PixelCounts, count_pixels
from sapa_mm.reproduction.study.studies import STUDIES

from ...support.configs import CONFIGS


@pytest.fixture(scope='module')
def counted(scenes):
    """A model that was never trained, its config, the counts, and the picture."""
    config = str(CONFIGS / STUDIES['scenes'].config)
    cfg = read_config(config, data_root=str(scenes[0]))
    cfg.test_evaluator.append(dict(type='BoundaryIoUMetric', distance=1, prefix='1px'))
    torch.manual_seed(0)
    with in_scope(cfg):
        model = MODELS.build(cfg.model)
    return cfg, model, *count_pixels(model, cfg, 'scene_50000001')


def test_equal_to_the_metrics(counted):
    cfg, model, counts, _ = counted
    with in_scope(cfg):
        loader = Runner.build_dataloader(cfg.test_dataloader)
        evaluator = Evaluator(cfg.test_evaluator)
    evaluator.dataset_meta = loader.dataset.metainfo
    with torch.no_grad():
        for batch in loader:
            evaluator.process(model.test_step(batch), batch)
    metrics = evaluator.evaluate(len(loader.dataset))
    assert counts.measures == ['IoU', 'bIoU', '1px/bIoU']
    # mmseg rounds its metric.
    assert counts.mean('IoU') == pytest.approx(metrics['mIoU'], abs=0.006)
    assert counts.mean('bIoU') == pytest.approx(metrics['bIoU'])
    assert counts.mean('1px/bIoU') == pytest.approx(metrics['1px/bIoU'])


def test_the_picture_is_the_prediction(counted):
    cfg, model, counts, picture = counted
    with in_scope(cfg):
        dataset = DATASETS.build(cfg.test_dataloader.dataset)
    names = [dataset.get_data_info(n)['img_path'] for n in range(len(dataset))]
    index = next(n for n, name in enumerate(names) if 'scene_50000001' in name)
    sample = dataset[index]
    batch = {'inputs': [sample['inputs']], 'data_samples': [sample['data_samples']]}
    with torch.no_grad():
        (result,) = model.test_step(batch)
    assert (picture == result.pred_sem_seg.data[0].numpy()).all()
    assert picture.dtype == np.uint8
    assert sum(counts.images) == len(dataset)


def test_blocks_and_sequences(counted, monkeypatch):
    """Blocks of about 20 images, each of one sequence, sum to the whole."""
    cfg, model, *_ = counted
    names = [f'{s}_{n:03d}' for s, count in (('a', 62), ('b', 31), ('c', 4)) for n in range(count)]
    rng = np.random.default_rng(0)
    maps = {name: rng.integers(0, 11, (2, 6, 8)) for name in names}
    for _, truth in maps.values():
        truth[0, :3] = 255

    def predict(*_):
        return ((name, prediction, truth) for name, (prediction, truth) in maps.items())

    monkeypatch.setattr('sapa_mm.reproduction.study.pixel_counts._predict', predict)
    counts, picture = count_pixels(model, cfg, 'none')
    assert picture is None
    assert list(zip(counts.sequences, counts.images, strict=True)) == [
        *[('a', 21), ('a', 21), ('a', 20)],
        *[('b', 16), ('b', 15)],
        ('c', 4),
    ]
    for sequence in (None, 'a', 'b', 'c'):
        chosen = [m for name, m in maps.items() if sequence in (None, name[0])]
        known = [(p[t != 255], t[t != 255]) for p, t in chosen]
        for label, iou in enumerate(counts.ious('IoU', sequence)):
            both = sum(((p == label) & (t == label)).sum() for p, t in known)
            either = sum(((p == label) | (t == label)).sum() for p, t in known)
            assert iou == pytest.approx(100 * both / either)


def test_classes_that_do_not_occur(counted):
    counts = np.zeros((1, 1, 2, 3), np.int64)
    counts[0, 0, :, :2] = [[1, 3], [2, 4]]
    test = PixelCounts(['a', 'b', 'c'], ['IoU'], ['s'], [1], counts)
    assert test.ious('IoU').tolist()[:2] == [50, 75]
    assert np.isnan(test.ious('IoU')[2])
    assert test.mean('IoU') == 62.5
    again = PixelCounts.from_json(test.to_json())
    assert (again.counts == counts).all()
    assert again.classes == test.classes
