"""Tables run and reported by one process and by two."""

import json
import runpy
import shlex
from pathlib import Path

import pytest

pytest.importorskip('mmseg')

from sapa_mm.datasets import write_mattes, write_rooms, write_scenes
from sapa_mm.evaluation.matting_errors import ERRORS
from sapa_mm.reproduction.launcher import Launcher
from sapa_mm.reproduction.paper_tables import DEPTH_COLUMNS, PAPER_TABLES
from sapa_mm.reproduction.report_formats import write_report
from sapa_mm.reproduction.run_files import RunFiles
from sapa_mm.reproduction.table_runs import Scenes, TableSettings, row_dir, run_tables
from sapa_mm.reproduction.training_result import TrainingResult

from ..support.run_tool import TOOLS, run_tool

CONFIGS = str(Path(TOOLS).parent / 'configs')
# Without randomness and batch statistics of each process.
OPTIONS = {
    'train_dataloader.dataset.pipeline.2.crop_size': (64, 64),
    'train_dataloader.dataset.pipeline.3.prob': 0.0,
    'model.data_preprocessor.size': (64, 64),
    'model.decode_head.norm_cfg.type': 'GN',
    'model.decode_head.norm_cfg.num_groups': 8,
}


@pytest.mark.extended
def test_two_processes_report_the_same_as_one(tmp_path):
    scenes = tmp_path / 'scenes'
    write_scenes(scenes, num_train=4, num_val=3, size=(64, 64))
    one, two = (tmp_path / name for name in ('one', 'two'))
    options = {**OPTIONS, 'train_dataloader.batch_size': 2}
    settings = TableSettings(CONFIGS, str(one), Scenes(str(scenes), 3), cfg_options=options)
    assert run_tables([PAPER_TABLES[10]], ['2'], [0], settings, Launcher()) == []

    options = {**OPTIONS, 'train_dataloader.batch_size': 1}
    printed = run_tool(
        *('reproduce', 'run', '--table', 10, '--rows', 2, '--scenes', '--iterations', 3),
        *('--data-root', scenes, '--out', two, '--launcher', 'pytorch', '--gpus', 2),
        *(
            '--cfg-options',
            *(f'{name}={value}'.replace(' ', '') for name, value in options.items()),
        ),
    )
    assert 'Run 1 of 1: SAPA-B, B1, similarity_norm=softmax, seed 0: not run' in printed

    results, rows = [], []
    for out in (one, two):
        (path,) = out.glob('*/seed-0/result.json')
        results.append(json.loads(path.read_text()))
        text, _ = write_report([PAPER_TABLES[10]], CONFIGS, str(out))
        assert 'small models on generated data' in text
        rows.append([line for line in text.splitlines() if line.startswith('| SAPA')])
    assert results[1]['device'] == results[0]['device'] + ', 2 processes'
    assert results[1]['parameters'] == results[0]['parameters']
    # Sums in another order may change the class of a pixel.
    assert results[1]['metrics'] == pytest.approx(results[0]['metrics'], abs=0.2)
    assert [row.split('|')[1] for row in rows[1]] == [row.split('|')[1] for row in rows[0]]
    assert ['finished' in row for row in rows[1]] == ['finished' in row for row in rows[0]]


@pytest.mark.extended
@pytest.mark.parametrize(
    ('number', 'write', 'names'),
    [(8, write_mattes, ERRORS), (9, write_rooms, DEPTH_COLUMNS.values())],
    ids=['matting', 'depth'],
)
def test_other_data(number, write, names, tmp_path):
    """Trained on mattes or rooms, with the metrics of Table 8 or 9."""
    data, out = tmp_path / 'data', tmp_path / 'out'
    write(data, num_train=4, num_val=2, size=(96, 112))
    cfg_options = {'train_dataloader.batch_size': 2}
    settings = TableSettings(CONFIGS, str(out), Scenes(str(data), 2), cfg_options=cfg_options)
    chosen = ['Bilinear', 'SAPA-D']
    assert run_tables([PAPER_TABLES[number]], chosen, [0], settings, Launcher()) == []
    for path in out.glob('*/seed-0/result.json'):
        metrics = json.loads(path.read_text())['metrics']
        assert set(names) == metrics.keys() - {'silog'}
        validations = RunFiles(str(path.parent)).read_validations()
        assert validations == {2: metrics}
    text, _ = write_report([PAPER_TABLES[number]], CONFIGS, str(out))
    assert text.count('seed 0: finished') == 2
    assert text.count('finished, best of 1') == (2 if number == 8 else 0)


def test_missing_data_fails_every_row(tmp_path):
    settings = TableSettings(
        CONFIGS, str(tmp_path), cfg_options={'train_dataloader.dataset.data_root': 'no'}
    )
    failures = run_tables([PAPER_TABLES[3]], ['1', '2'], [0], settings, Launcher())
    assert len(failures) == 2
    assert all('img_path: no folder' in failure for failure in failures)


@pytest.mark.parametrize(
    ('arguments', 'message'),
    [
        (['--seeds', '-1'], 'argument --seeds: takes integers from 0 to 2**32 - 1, got -1'),
        (
            ['--seeds', 2**32],
            'argument --seeds: takes integers from 0 to 2**32 - 1, got 4294967296',
        ),
        (['--iterations', 3], '--iterations is for --scenes, which was not given'),
        (['--data-root', 'x'], '--data-root is for --scenes, which was not given'),
        (['--launcher-options=--time=1'], "launcher 'none' takes no options, got --time=1"),
        (
            ['--launcher', 'pytorch', '--nodes', 2],
            "error: --nodes must be 1 with launcher 'pytorch', got 2; choose 'slurm' for rows on "
            "several nodes, or start each row on a node of its own: 'reproduce.py commands' prints "
            'a command for each',
        ),
        (
            ['--launcher', 'slurm', '--gpus', 2, '--processes', 3],
            'error: --processes must be one for each of 2 --gpus, got 3; give --processes alone '
            'for processes without GPUs',
        ),
        (['--launcher', 'slurm'], "launcher 'slurm': there is no srun on this machine's PATH"),
    ],
)
def test_bad_arguments(error_of, monkeypatch, arguments, message):
    monkeypatch.setenv('PATH', '')
    assert message in error_of('reproduce', 'run', '--table', 3, *arguments)


def test_commands_for_a_scheduler(tmp_path, monkeypatch, capsys):
    out = str(tmp_path / "a folder; $(b) `c` 'd' & \\")
    row = PAPER_TABLES[3].rows[8]
    RunFiles(f'{row_dir(out, row)}/seed-1').write_result(TrainingResult({}, 1, 1.0, 1, 'a CPU'))
    options = ['--scenes', '--launcher-options=--a --b', '--launcher', 'pytorch', '--out', out]
    options += ['--cfg-options', 'a=(1, 2)', 'b=3']
    chosen = ['--rows', '1', 'sapa-b', '--seeds', '0', '1']
    arguments = ['commands', *options[:2], '--table', '3', '10', *options[2:], *chosen]
    tool = str(TOOLS / 'reproduce.py')
    monkeypatch.setattr('sys.argv', [tool, *arguments])
    with pytest.raises(SystemExit) as end:
        runpy.run_path(tool, run_name='__main__')
    assert end.value.code == 0
    commands = [shlex.split(line) for line in capsys.readouterr().out.splitlines()]
    # SAPA-B with softmax, row 2 of Table 10, is row 9 of Table 3; with seed 1 it is finished.
    places = [(3, 1, 0), (3, 9, 0), *((10, row, 0) for row in (1, 3, 4, 5))]
    places += [(3, 1, 1), *((10, row, 1) for row in (1, 3, 4, 5))]
    assert commands == [
        ['python', tool, 'run', '--table', str(table), '--rows', str(row), '--seeds', str(seed)]
        + options
        for table, row, seed in places
    ]
