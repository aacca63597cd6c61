"""Training apart, and the comparison over seeds."""

import json
from pathlib import Path

import pytest

pytest.importorskip('mmseg')

from sapa_mm.analysis import training_result
from sapa_mm.analysis.paper_tables import CONFIG_NAMES
from sapa_mm.analysis.training_result import TrainingFailed, TrainingResult, train_apart
from sapa_mm.analysis.upsampler_study import UPSAMPLERS, format_study, run_study
from sapa_mm.datasets import write_scenes

CONFIGS = Path(__file__).parents[2] / 'configs'
CONFIG = str(CONFIGS / 'segformer' / 'segformer_mit-tiny_bilinear_1xb8-300_scenes-128x128.py')


@pytest.fixture(scope='module')
def options(tmp_path_factory):
    root = tmp_path_factory.mktemp('scenes')
    write_scenes(root, num_train=2, num_val=2, size=(80, 72))
    options = {f'{split}_dataloader.dataset.data_root': str(root) for split in ('train', 'val')}
    options |= {'train_dataloader.dataset.pipeline.2.crop_size': (64, 64)}
    options |= {'model.data_preprocessor.size': (64, 64), 'train_dataloader.batch_size': 2}
    return options | {'train_cfg.max_iters': 2, 'train_cfg.val_interval': 2}


def test_titles_have_configs():
    for title in UPSAMPLERS:
        assert Path(CONFIG.replace('bilinear', CONFIG_NAMES[title])).is_file()


def test_a_run_is_done_once_and_resumed(options, tmp_path, monkeypatch):
    work_dir = str(tmp_path)
    options = {**options, 'default_hooks.checkpoint.interval': 1, 'randomness.seed': 3}
    result = train_apart(CONFIG, work_dir, options)
    assert 0 <= result.metrics['mIoU'] <= 100
    assert result.parameters == 416_763
    assert result.seconds_per_iteration > 0
    # The optimizer's state and the gradients alone take more.
    assert result.peak_memory > 3 * 4 * result.parameters
    assert result.device.startswith(('cpu, ', 'NVIDIA'))

    with pytest.raises(ValueError, match='has a run with other settings in it'):
        train_apart(CONFIG, work_dir, {**options, 'randomness.seed': 4})

    # As if it had been killed after the first iteration.
    (tmp_path / 'result.json').unlink()
    (tmp_path / 'iter_2.pth').unlink()
    (tmp_path / 'last_checkpoint').write_text(str(tmp_path / 'iter_1.pth'))
    resumed = train_apart(CONFIG, work_dir, options)
    assert resumed.metrics == result.metrics
    log = sorted(tmp_path.glob('*/*.log'))[-1].read_text()
    assert 'resumed epoch: 0, iter: 1' in log

    # As if it had been killed during the last validation.
    (tmp_path / 'result.json').unlink()
    again = train_apart(CONFIG, work_dir, options)
    assert again.metrics == result.metrics
    assert again.seconds_per_iteration > 0

    monkeypatch.setattr(training_result, '_train_and_save', None)
    assert train_apart(CONFIG, work_dir, options) == again


def test_a_run_that_fails(options, tmp_path):
    # Crops of other sizes than the head can bring together in a batch.
    broken = {**options, 'model.decode_head.num_classes': 2}
    with pytest.raises(TrainingFailed, match='ended with exit code 1; see the log in'):
        train_apart(CONFIG, str(tmp_path), broken)
    assert not (tmp_path / 'result.json').exists()


def test_study_goes_on_after_a_failure(options, tmp_path, monkeypatch, capsys):
    results = {
        ('bilinear', 0): 40.0,
        ('carafe', 0): 43.0,
        ('bilinear', 1): 42.0,
        ('carafe', 1): None,
    }

    def train(config, work_dir, cfg_options):
        method = next(m for m in ('bilinear', 'carafe') if f'_{m}_' in config)
        miou = results[method, cfg_options['randomness.seed']]
        if miou is None:
            raise TrainingFailed('broken')
        (tmp_path / 'out').mkdir(exist_ok=True)
        return TrainingResult(dict(mIoU=miou), 1000, 0.5, 2_000_000, 'cpu, 1 thread')

    monkeypatch.setattr('sapa_mm.analysis.upsampler_study.train_apart', train)
    root = options['train_dataloader.dataset.data_root']
    failures = run_study(
        str(CONFIGS), root, str(tmp_path / 'out'), ['Bilinear', 'CARAFE'], seeds=[0, 1]
    )
    assert failures == ['broken']
    printed = capsys.readouterr().out
    assert 'Run 4 of 4: CARAFE, seed 1' in printed
    table = (tmp_path / 'out' / 'table.md').read_text()
    assert '| Bilinear | 2 | 41.00 ± 1.41 | +0.00 |' in table
    assert '| CARAFE | 1 | 43.00 | +2.00 |' in table
    content = json.loads((tmp_path / 'out' / 'results.json').read_text())
    assert content['Bilinear']['1']['metrics'] == dict(mIoU=42.0)


def test_format():
    def result(miou, seconds, memory):
        return TrainingResult(dict(mIoU=miou), 1000, seconds, memory, 'cpu, 1 thread')

    results = {
        'A': {0: result(40, 0.1, 10**8), 1: result(44, 0.3, 10**8), 2: result(42, 0.2, 10**8)},
        'B': {},
        'C': {0: result(50, 0.4, 15 * 10**7)},
    }
    assert format_study(results).splitlines()[2:] == [
        '| A | 3 | 42.00 ± 2.00 | +0.00 | 1,000 | 0.200 | 1.00 | 100 | 1.00 |',
        '| C | 1 | 50.00 | +8.00 | 1,000 | 0.400 | 2.00 | 150 | 1.50 |',
        '',
        'Measured on: cpu, 1 thread.',
    ]
