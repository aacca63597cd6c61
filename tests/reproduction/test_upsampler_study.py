"""The comparison of all upsamplers over seeds."""

import json
from pathlib import Path

import pytest

pytest.importorskip('mmseg')

from sapa_mm.reproduction.paper_tables import CONFIG_NAMES
from sapa_mm.reproduction.training_result import TrainingResult
from sapa_mm.reproduction.training_run import TrainingFailed, TrainingRun
from sapa_mm.reproduction.upsampler_study import UPSAMPLERS, format_study, run_study

from ..support.configs import CONFIGS
from ..support.scenes import CONFIG


def test_titles_have_configs():
    for title in UPSAMPLERS:
        assert Path(CONFIG.replace('bilinear', CONFIG_NAMES[title])).is_file()


def test_study_goes_on_after_a_failure(scenes, tmp_path, monkeypatch, capsys):
    results = {
        ('bilinear', 0): 40.0,
        ('carafe', 0): 43.0,
        ('bilinear', 1): 42.0,
        ('carafe', 1): None,
    }

    def train(run, *args):
        method = next(m for m in ('bilinear', 'carafe') if f'_{m}_' in run.config)
        miou = results[method, run.cfg_options['randomness.seed']]
        if miou is None:
            raise TrainingFailed('broken')
        return TrainingResult(dict(mIoU=miou), 1000, 0.5, 2_000_000, 'cpu, 1 thread')

    monkeypatch.setattr(TrainingRun, 'train', train)
    failures = run_study(
        str(CONFIGS), str(scenes[0]), str(tmp_path / 'out'), ['Bilinear', 'CARAFE'], seeds=[0, 1]
    )
    assert failures == ['CARAFE, seed 1: broken']
    printed = capsys.readouterr().out
    assert 'Run 4 of 4: CARAFE, seed 1' in printed
    table = (tmp_path / 'out' / 'table.md').read_text()
    assert '| Bilinear | 2 | 41.00 ± 1.41 | +0.00 |' in table
    assert '| CARAFE | 1 | 43.00 | +3.00 |' in table
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
        '| C | 1 | 50.00 | +10.00 | 1,000 | 0.400 | 2.00 | 150 | 1.50 |',
        '',
        'Measured on: cpu, 1 thread.',
    ]
    # Without the first one there is nothing to compare the others with.
    row = format_study({**results, 'A': {}}).splitlines()[2]
    assert row == '| C | 1 | 50.00 | - | 1,000 | 0.400 | - | 150 | - |'
