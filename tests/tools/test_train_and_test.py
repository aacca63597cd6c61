"""tools/train.py and tools/test.py, from images to metrics, with both hosts."""

import json
import pickle

import numpy as np
import pytest
import torch
from PIL import Image

from sapa_mm.engine import read_checkpoint

from ..support.run_tool import call_run, run_tool
from ..support.tool_configs import MMDET, MMSEG, write_ade, write_coco, write_config


class Run:
    """Shared by the tests of a host: a config, and a training run that stopped and resumed."""

    def __init__(self, folder, text, write, last, half):
        self.folder, self.last = folder, last
        write(folder / 'data')
        self.config = write_config(folder / 'config.py', text, folder / 'data')
        self.work_dir = folder / 'run'
        call_run('train', self.config, '--work-dir', self.work_dir, options=[half])
        call_run('train', self.config, '--work-dir', self.work_dir, '--resume')

    def test(self, name, *args):
        """Call tools/test.py and return the metrics that it wrote."""
        work_dir = self.folder / name
        call_run('test', self.config, self.work_dir / self.last, '--work-dir', work_dir, *args)
        (metrics,) = work_dir.glob('*/*.json')
        return json.loads(metrics.read_text())

    def last_validation(self, key):
        """The metric of the last validation while training."""
        log = sorted(self.work_dir.glob('*/vis_data/scalars.json'))[-1]
        scalars = [json.loads(line) for line in log.read_text().splitlines()]
        return [line[key] for line in scalars if key in line][-1]

    def weights(self, work_dir=None):
        return read_checkpoint(str((work_dir or self.work_dir) / self.last))['state_dict']


@pytest.fixture(scope='module')
def seg(tmp_path_factory):
    pytest.importorskip('mmseg')
    folder = tmp_path_factory.mktemp('seg')
    return Run(folder, MMSEG, write_ade, 'iter_4.pth', 'train_cfg.max_iters=2')


@pytest.fixture(scope='module')
def det(tmp_path_factory):
    pytest.importorskip('mmdet')
    folder = tmp_path_factory.mktemp('det')
    return Run(folder, MMDET, write_coco, 'epoch_2.pth', 'train_cfg.max_epochs=1')


@pytest.mark.parametrize('host', ['seg', 'det'])
def test_resumed_run_ends_as_an_uninterrupted_one(request, host, tmp_path):
    """The config has no seed, so the resumed run must find the first run's."""
    run = request.getfixturevalue(host)
    log = max(run.work_dir.glob('*/*.log'))
    assert 'resumed epoch' in log.read_text()
    seed = read_checkpoint(str(run.work_dir / run.last))['meta']['seed']
    call_run('train', run.config, '--work-dir', tmp_path, options=[f'randomness.seed={seed}'])
    expected = run.weights(tmp_path)
    resumed = run.weights()
    assert all(torch.equal(resumed[key], expected[key]) for key in expected)


def test_segmentation_is_measured_saved_and_drawn(seg):
    out, drawn = seg.folder / 'out', seg.folder / 'drawn'
    metrics = seg.test('measured', '--out', out, '--show-dir', drawn)
    assert metrics['mIoU'] == pytest.approx(seg.last_validation('mIoU'))
    assert sorted(path.name for path in out.iterdir()) == [f'{index}.png' for index in range(4)]
    labels = np.array(Image.open(out / '0.png'))
    assert labels.shape == (64, 64)
    assert labels.min() >= 1  # as in ADE20K's files, where 0 is unlabelled
    assert len(list(drawn.rglob('*.png'))) == 4


def test_segmentation_with_test_time_augmentation(seg):
    """In a separate process."""
    work_dir = seg.folder / 'tta'
    printed = run_tool('test', seg.config, seg.work_dir / seg.last, '--tta', '--work-dir', work_dir)
    assert 'mIoU' in printed


def test_detections_are_measured_saved_and_drawn(det):
    out, drawn = det.folder / 'out.pkl', det.folder / 'drawn'
    metrics = det.test('measured', '--out', out, '--show-dir', drawn)
    assert metrics['coco/bbox_mAP'] == pytest.approx(det.last_validation('coco/bbox_mAP'))
    predictions = pickle.loads(out.read_bytes())
    assert len(predictions) == 4
    assert len(predictions[0]['pred_instances']['scores']) > 0
    assert sorted(path.name for path in drawn.iterdir()) == [
        f'{index}.png' for index in range(1, 5)
    ]


def test_detection_with_test_time_augmentation(det):
    assert 'coco/bbox_mAP' in det.test('tta', '--tta')
