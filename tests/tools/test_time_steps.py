"""tools/time_steps.py as a user starts it."""

import pytest

pytest.importorskip('mmseg')

from ..support.configs import CONFIGS
from ..support.run_tool import call_tool

CONFIG = CONFIGS / 'segformer/segformer_mit-tiny_sapa-d_1xb8-300_scenes-128x128.py'


def test_a_run(capsys, monkeypatch):
    monkeypatch.setenv('THP_MEM_ALLOC_ENABLE', '0')
    assert not call_tool('time_steps', CONFIG, '--side', 64, '--repeats', 3, '--device', 'cpu')
    printed = capsys.readouterr().out
    assert f'| {CONFIG.stem} | ' in printed
    assert 'THP_MEM_ALLOC_ENABLE=0' in printed


def test_bad_options(capsys):
    assert call_tool('time_steps', CONFIG, '--repeats', 2) == 2
    assert capsys.readouterr().err == 'error: --repeats must be 3 or more, got 2\n'
