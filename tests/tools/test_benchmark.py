"""tools/benchmark.py as a user starts it."""

import json
import runpy
import subprocess
import sys

import pytest

from ..support.run_tool import TOOLS, environment, run_tool

SMALL = ('--sizes', 4, 6, '--channels', 8, '--repeats', 3, '--device', 'cpu', '--threads', 1)
SMALL += ('--dtypes', 'float32', '--pages', 'fresh')


@pytest.mark.extended
def test_a_run_without_the_compiled_form(tmp_path, monkeypatch):
    missing = str(tmp_path / 'nothing.so')
    monkeypatch.setenv('SAPA_OPS_LIBRARY', missing)
    subset = ('--subjects', 'pipelines', '--passes', 'forward', '--layouts', 'channels_last')
    subset += ('--forms', 'compiled', 'eager')
    log = run_tool('benchmark', *SMALL, *subset, '--out', tmp_path / 'out')
    assert "compiled, float32: not measured: use_backend('compiled') cannot be" in log
    assert missing in log
    assert '| pipeline sapa_d, eager ' in log
    report = json.loads((tmp_path / 'out' / 'benchmark.json').read_text())
    assert report['cpu_capability'] is None
    assert 'benchmark.py --sizes 4 6 --channels 8' in report['command']
    assert len(report['results']) == 2 * (3 + 2)
    for result in report['results']:
        assert (result['memory'] is None) == (result['name'] in ('copy', 'product'))


def test_a_run_with_torch_alone(tmp_path):
    absent = ('mmengine', 'mmcv', 'mmseg', 'mmdet', 'matplotlib', 'psutil', 'PIL', 'torchvision')
    arguments = [*SMALL, '--kinds', 'upsamplers', '--no-memory', '--out', tmp_path]
    tool = str(TOOLS / 'benchmark.py')
    script = f"""
import runpy, sys
sys.modules.update(dict.fromkeys({absent!r}))
sys.argv = {[tool, *map(str, arguments)]!r}
runpy.run_path({tool!r}, run_name='__main__')
"""
    result = subprocess.run(
        [sys.executable, '-c', script], capture_output=True, text=True, env=environment()
    )
    assert result.returncode == 0, result.stderr
    assert 'No picture: matplotlib is not installed' in result.stdout
    assert (tmp_path / 'benchmark.json').exists()


@pytest.mark.parametrize(
    ('arguments', 'message'),
    [
        (('--sizes', 'big'), "argument --sizes: invalid int value: 'big'"),
        (('--sizes', 0), '--sizes must be one or more positive numbers, got [0]'),
        (('--channels', 6), '--channels must be multiples of 4'),
        (('--dtypes', 'int8'), "argument --dtypes: invalid choice: 'int8' (choose from "),
        (('--kinds', 'all'), "argument --subjects/--kinds: invalid choice: 'all' (choose from "),
        (('--repeats', 1), '--repeats must be 3 or more, got 1'),
        (('--out', __file__), f'--out: {__file__} is not a folder'),
    ],
)
def test_bad_options(monkeypatch, capsys, arguments, message):
    monkeypatch.setattr('sys.argv', ['benchmark', *map(str, arguments)])
    with pytest.raises(SystemExit) as end:
        runpy.run_path(str(TOOLS / 'benchmark.py'), run_name='__main__')
    assert end.value.code == 2
    assert message in capsys.readouterr().err.strip().splitlines()[-1]
