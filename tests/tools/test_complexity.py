"""tools/complexity.py and tools/compare_upsamplers.py as a user starts them."""

import json

import pytest

from ..support.run_tool import TOOLS, run_tool

pytest.importorskip('mmseg')

CONFIG = TOOLS.parent / 'configs/segformer/segformer_mit-tiny_sapa-d_1xb8-300_scenes-128x128.py'


def test_table_and_config(tmp_path):
    out = tmp_path / 'report.json'
    run_tool(
        'complexity', CONFIG, '--table', 1, '--shape', 64, 96, '--format', 'json', '--out', out
    )
    report = json.loads(out.read_text())
    assert len(report) == 2
    assert report['Configs'][0]['input'] == '64x96'


def test_a_broken_config_leaves_the_others(error_of, tmp_path):
    broken = tmp_path / 'broken.py'
    broken.write_text(f"_base_ = {str(CONFIG)!r}\nmodel = dict(backbone=dict(type='NoSuch'))\n")
    out = tmp_path / 'report.md'
    assert error_of('complexity', broken, CONFIG, '--out', out).startswith(
        f'error: {broken}: KeyError: '
    )
    assert f'| {CONFIG.stem} [1] |' in out.read_text()
    assert 'broken' not in out.read_text()


@pytest.mark.parametrize(
    ('arguments', 'message'),
    [
        ((), 'name config files or --table'),
        (('--table', 2), 'argument --table: invalid choice: 2 (choose from '),
        (('nowhere.py',), 'error: config: nowhere.py is not a file'),
        ((CONFIG, '--shape', 0, 32), '--shape takes positive numbers, got [0, 32]'),
        ((CONFIG, '--format', 'pdf'), "invalid choice: 'pdf'"),
        ((CONFIG, '--out', CONFIG / 'report.md'), f'error: --out: {CONFIG} is not a folder'),
        ((CONFIG, '--out', '/'), 'error: --out: / is a folder, name a file'),
        ((CONFIG, '--shape', 5, 6), f'error: {CONFIG} with shape 5 6: '),
    ],
)
def test_bad_input(error_of, arguments, message):
    assert message in error_of('complexity', *arguments)


@pytest.mark.parametrize(
    ('arguments', 'message'),
    [
        ((), 'the following arguments are required: --task'),
        (
            ('--task', 'depth', '--upsamplers', 'SAPA-E'),
            "argument --upsamplers: invalid choice: 'SAPA-E'",
        ),
        (('--task', 'depth', '--seeds', 'one'), "argument --seeds: invalid int value: 'one'"),
        (('--task', 'depth', '--configs', '/nowhere'), 'error: config: /nowhere'),
    ],
)
def test_bad_input_of_the_comparison(error_of, arguments, message, tmp_path):
    folders = ('--data-root', tmp_path / 'rooms', '--out', tmp_path / 'out')
    assert message in error_of('compare_upsamplers', *folders, *arguments)
