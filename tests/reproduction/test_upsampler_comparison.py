"""The comparison of all upsamplers over seeds."""

import json

import numpy as np
import pytest

pytest.importorskip('mmseg')

from PIL import Image

from sapa_mm.datasets import write_mattes, write_rooms
from sapa_mm.reproduction.paper_tables import CONFIG_NAMES
from sapa_mm.reproduction.training_result import Metric, TrainingResult
from sapa_mm.reproduction.training_run import TrainingFailed, TrainingRun
from sapa_mm.reproduction.upsampler_comparison import (
    COMPARISONS,
    compare_upsamplers,
    format_comparison,
)

from ..support.configs import CONFIGS


@pytest.mark.parametrize('task', COMPARISONS)
def test_titles_have_configs(task):
    comparison = COMPARISONS[task]
    assert comparison.upsamplers[0] == 'Bilinear'
    for title in CONFIG_NAMES:
        config = CONFIGS / comparison.model.config(title)
        assert config.is_file() == (title in comparison.upsamplers)


def test_comparison_goes_on_after_a_failure(tmp_path, monkeypatch, capsys):
    root = tmp_path / 'rooms'
    write_rooms(root, num_train=3, num_val=2, size=(64, 64))
    results = {
        ('bilinear', 0): 0.40,
        ('carafe', 0): 0.43,
        ('bilinear', 1): 0.42,
        ('carafe', 1): None,
    }

    def train(run, *args):
        method = next(m for m in ('bilinear', 'carafe') if f'_{m}_' in run.config)
        d1 = results[method, run.cfg_options['randomness.seed']]
        if d1 is None:
            raise TrainingFailed('broken')
        return TrainingResult(dict(d1=d1), 1000, 0.5, 2_000_000, 'cpu, 1 thread')

    monkeypatch.setattr(TrainingRun, 'train', train)
    out = tmp_path / 'out'
    comparison = dict(upsamplers=['Bilinear', 'CARAFE'], seeds=[0, 1])
    failures = compare_upsamplers('depth', str(CONFIGS), str(root), str(out), **comparison)
    assert failures == ['CARAFE, seed 1: broken']
    printed = capsys.readouterr().out
    assert 'Run 4 of 4: CARAFE, seed 1' in printed
    table = (out / 'table.md').read_text()
    assert '| Bilinear | 2 | 0.410 ± 0.014 | +0.000 |' in table
    assert '| CARAFE | 1 | 0.430 | +0.030 |' in table
    content = json.loads((out / 'results.json').read_text())
    assert content['Bilinear']['1']['metrics'] == dict(d1=0.42)


def test_comparison_of_depth(tmp_path, monkeypatch):
    """With what no model predicts as the first row."""
    pytest.importorskip('sapa_mm.depth')
    root = tmp_path / 'rooms'
    write_rooms(root, num_train=3, num_val=2, size=(64, 64))

    def train(run, *args):
        d1 = 0.75 if '_bilinear_' in run.config else 0.8125
        return TrainingResult(dict(d1=d1, abs_rel=0.25), 1000, 0.5, 2_000_000, 'cpu, 1 thread')

    monkeypatch.setattr(TrainingRun, 'train', train)
    out = tmp_path / 'out'
    comparison = dict(upsamplers=['Bilinear', 'SAPA-D'], seeds=[0])
    assert not compare_upsamplers('depth', str(CONFIGS), str(root), str(out), **comparison)
    header, _, median, bilinear, sapa_d, *_ = (out / 'table.md').read_text().splitlines()
    assert header.startswith(
        '| upsampler | seeds | δ < 1.25 | difference | Abs Rel | difference | parameters |'
    )
    metrics = dict(zip(('d1', 'abs_rel'), literal_median(root), strict=True))
    d1, abs_rel = (f'{value:.3f}' for value in metrics.values())
    assert median.startswith(f"| each pixel's median | - | {d1} | - | {abs_rel} | - | - |")
    assert bilinear.startswith('| Bilinear | 1 | 0.750 | +0.000 | 0.250 | +0.000 | 1,000 |')
    assert sapa_d.startswith('| SAPA-D | 1 | 0.812 | +0.062 | 0.250 | +0.000 | 1,000 |')
    with pytest.raises(ValueError, match='upsamplers must be of .* for depth, got SAPA-I'):
        compare_upsamplers(
            'depth', str(CONFIGS), str(root), str(out), **{**comparison, 'upsamplers': ['SAPA-I']}
        )


def literal_median(root):
    """δ < 1.25 and Abs Rel of each pixel's median, from the files."""

    def read(subset):
        paths = sorted((root / 'annotations' / subset).glob('*.png'))
        return [np.asarray(Image.open(path)).astype(float) / 1000 for path in paths]

    training = np.ma.masked_equal(read('train'), 0)
    prediction = np.ma.median(training, axis=0).filled(np.nan)
    scores = []
    for truth in read('test'):
        z, guess = truth[truth > 0], prediction[truth > 0]
        inside = np.maximum(z / guess, guess / z) < 1.25
        scores.append((inside.mean(), (np.abs(guess - z) / z).mean()))
    return np.mean(scores, axis=0)


def test_comparison_of_matting(tmp_path, monkeypatch):
    """With what the trimap alone tells as the first row."""
    pytest.importorskip('sapa_mm.matting')
    root = tmp_path / 'mattes'
    write_mattes(root, num_train=1, num_val=4, size=(48, 64))

    def train(run, *args):
        sad = 0.25 if '_bilinear_' in run.config else 0.125
        return TrainingResult(dict(SAD=sad, Grad=0.5), 1000, 0.5, 2_000_000, 'cpu, 1 thread')

    monkeypatch.setattr(TrainingRun, 'train', train)
    out = tmp_path / 'out'
    comparison = dict(upsamplers=['Bilinear', 'SAPA-D'], seeds=[0])
    assert not compare_upsamplers('matting', str(CONFIGS), str(root), str(out), **comparison)
    header, _, trimap, bilinear, sapa_d, *_ = (out / 'table.md').read_text().splitlines()
    assert header.startswith('| upsampler | seeds | SAD | difference | Grad | difference |')
    sads = []
    for path in sorted((root / 'test/trimaps').glob('*.png')):
        known, alpha = (
            np.asarray(Image.open(root / 'test' / folder / path.name)).astype(float)
            for folder in ('trimaps', 'alpha')
        )
        # The metric rounds to 8 bits: a half is 128.
        sads.append(np.abs(128 - alpha)[known == 128].sum() / 255 / 1000)
    cells = [cell.strip() for cell in trimap.strip('|').split('|')]
    assert cells[:4] == ['the trimap alone', '-', f'{np.mean(sads):.3f}', '-']
    assert 0 < float(cells[4]) < 1
    assert bilinear.startswith('| Bilinear | 1 | 0.250 | +0.000 | 0.500 | +0.000 | 1,000 |')
    assert sapa_d.startswith('| SAPA-D | 1 | 0.125 | -0.125 | 0.500 | +0.000 | 1,000 |')


def test_format():
    def result(miou, seconds, memory):
        return TrainingResult(dict(mIoU=miou), 1000, seconds, memory, 'cpu, 1 thread')

    results = {
        'A': {0: result(40, 0.1, 10**8), 1: result(44, 0.3, 10**8), 2: result(42, 0.2, 10**8)},
        'B': {},
        'C': {0: result(50, 0.4, 15 * 10**7)},
    }
    metrics, baselines = [Metric('mIoU', 'mIoU')], {'guess': dict(mIoU=5.0)}
    assert format_comparison(results, metrics, 300, baselines).splitlines()[2:] == [
        '| guess | - | 5.00 | - | - | - | - | - | - | - |',
        '| A | 3 | 42.00 ± 2.00 | +0.00 | 1,000 | 0.200 | 1.00 | 1.0 | 100 | 1.00 |',
        '| C | 1 | 50.00 | +10.00 | 1,000 | 0.400 | 2.00 | 2.0 | 150 | 1.50 |',
        '',
        '300 iterations. Measured on: cpu, 1 thread.',
    ]
    # Without the first one there is nothing to compare the others with.
    row = format_comparison({**results, 'A': {}}, metrics, 300).splitlines()[2]
    assert row == '| C | 1 | 50.00 | - | 1,000 | 0.400 | - | 2.0 | 150 | - |'
