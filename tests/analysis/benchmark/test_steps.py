"""Training steps of a small config: what is timed is checked, speeds are not."""

import pytest
import torch

pytest.importorskip('mmseg')

from sapa_mm.analysis.benchmark import steps
from sapa_mm.analysis.benchmark.steps import time_steps

from ...support.configs import CONFIGS, DEPTHFORMER

SMALL = str(CONFIGS / 'segformer/segformer_mit-tiny_{}_1xb8-300_scenes-128x128.py')
CONFIG_FILES = [SMALL.format('bilinear'), SMALL.format('sapa-d')]


def test_steps_are_timed_in_turns(tmp_path, monkeypatch):
    asked = []
    monkeypatch.setattr('torch.set_num_threads', asked.append)
    small = dict(side=64, batch=2, repeats=3, device='cpu')
    out = tmp_path / 'new' / 'steps.md'
    results = time_steps(CONFIG_FILES, threads=[1, 2], **small, out=str(out))
    assert asked == [1, 2, torch.get_num_threads()]
    assert [result['threads'] for result in results] == [1, 1, 2, 2]
    for first, other in (results[:2], results[2:]):
        assert 'bilinear' in first['config']
        assert 'sapa-d' in other['config']
        assert first['ratio'] == 1
        assert other['ratio'] == other['seconds'] / first['seconds'] > 0
    page = out.read_text()
    for result in results:
        assert f'| {result["config"]} | {result["threads"]} | {result["seconds"]:.3f} |' in page
    assert '2 random images of 64x64' in page


def test_a_step_trains():
    step = steps.make_step(CONFIG_FILES[1], None, 64, 2, 'cpu')
    losses = [step()['loss'].item() for _ in range(8)]
    assert losses[-1] < losses[0]


def test_the_side_is_that_of_the_config_unless_given():
    cfg = steps.read_config(CONFIG_FILES[0])
    assert steps._set_side(cfg, None) == 128
    assert steps._set_side(cfg, 64) == 64
    assert cfg.model.data_preprocessor.size == (64, 64)


@pytest.mark.parametrize(
    ('arguments', 'message'),
    [
        (dict(threads=[1, 0]), 'threads must be 1 or more, got 0'),
        (dict(side=0), 'side must be 1 or more, got 0'),
        (dict(batch=0), 'batch must be 1 or more, got 0'),
        (dict(repeats=2), 'repeats must be 3 or more, got 2'),
        (
            dict(configs=[str(CONFIGS / DEPTHFORMER.format('bilinear'))], side=64),
            'configs: .*depthformer.* is not a segmentor of mmseg',
        ),
    ],
)
def test_bad_arguments(arguments, message):
    with pytest.raises(ValueError, match=message):
        time_steps(**{'configs': CONFIG_FILES, **arguments})
