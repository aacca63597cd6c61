"""tools/prepare_data.py."""

import pytest

pytest.importorskip('mmcv')

from ..support.matting_data import write_plain
from ..support.run_tool import call_tool, run_tool


def test_plain(tmp_path, capsys):
    write_plain(tmp_path)
    output = run_tool('prepare_data', 'plain', tmp_path, '--num-backgrounds', 2)
    assert output.endswith('\n6 images composed\n')
    assert len(list((tmp_path / 'merged').iterdir())) == 6
    assert len(list((tmp_path / 'trimaps').iterdir())) == 6
    assert not call_tool('prepare_data', 'plain', tmp_path, '--num-backgrounds', 2)
    assert capsys.readouterr().out.endswith('\n0 images composed\n')


def test_bad_input(error_of, tmp_path):
    error = error_of('prepare_data', 'comp1k', tmp_path, tmp_path)
    assert error.startswith('error: MattingDataset: data_prefix.fg_path: no folder ')
    error = error_of('prepare_data', 'plain', tmp_path, '--num-backgrounds', 0)
    assert error == 'error: --num-backgrounds must be 1 or more, got 0'
