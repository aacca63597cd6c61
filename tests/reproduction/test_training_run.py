"""Runs in processes of their own: once, resumed, failing, killed."""

import os
import signal
import subprocess
import sys
import time

import pytest

pytest.importorskip('mmseg')

from sapa_mm.reproduction.run_files import RunFiles
from sapa_mm.reproduction.train_all import train_all
from sapa_mm.reproduction.training_run import TrainingFailed, TrainingRun

from .scenes import CONFIG, few_steps


def test_a_run_is_done_once_and_resumed(options, tmp_path, monkeypatch):
    run = few_steps(tmp_path, options)
    assert run.state == 'not run'
    seen = []
    result = run.train(on_progress=seen.append)
    assert run.state == 'finished'
    assert [one.max_iters for one in seen] == [2] * len(seen) != []
    assert 0 <= result.metrics['mIoU'] <= 100
    assert result.parameters == 416_763
    assert result.seconds_per_iteration > 0
    # The optimizer's state and the gradients alone take more.
    assert result.peak_memory > 3 * 4 * result.parameters
    assert result.device.endswith(('1 thread', 'GPU')) or 'thread' in result.device

    with pytest.raises(ValueError, match='has a run with other settings in it'):
        few_steps(tmp_path, options, **{'randomness.seed': 4}).train()

    # As if it had been killed after the first iteration.
    (tmp_path / 'result.json').unlink()
    (tmp_path / 'iter_2.pth').unlink()
    (tmp_path / 'last_checkpoint').write_text(str(tmp_path / 'iter_1.pth'))
    assert run.train().metrics == result.metrics
    assert 'resumed epoch: 0, iter: 1' in (tmp_path / 'console.log').read_text()

    # As if it had been killed during the last validation.
    (tmp_path / 'result.json').unlink()
    again = run.train()
    assert again.metrics == result.metrics
    assert again.seconds_per_iteration > 0
    # This process only validated.
    assert again.peak_memory >= result.peak_memory / 2

    monkeypatch.setattr(TrainingRun, '_start', None)
    assert run.train() == again


def test_a_run_that_fails_tells_why(options, tmp_path):
    run = few_steps(tmp_path, options, **{'model.decode_head.num_classes': 2})
    with pytest.raises(TrainingFailed, match=r'\w+Error: .*console.log') as failure:
        run.train()
    assert run.state == f'failed: {failure.value}'
    assert not (tmp_path / 'result.json').exists()


def test_one_failure_leaves_the_others(options, tmp_path, capsys):
    (tmp_path / 'broken.py').write_text('model = dict(type=oh)')
    runs = [
        TrainingRun('broken', str(tmp_path / 'broken.py'), str(tmp_path / 'broken')),
        TrainingRun('missing', str(tmp_path / 'no.py'), str(tmp_path / 'missing')),
        few_steps(tmp_path / 'right', options),
    ]
    results = []
    failures = train_all(runs, on_result=lambda run, result: results.append((run.title, result)))
    assert [failure.partition(':')[0] for failure in failures] == ['broken', 'missing']
    assert "name 'oh' is not defined" in failures[0]
    assert 'no.py is not a file' in failures[1]
    assert [title for title, _ in results] == ['a run']
    assert runs[0].state.startswith('failed: ')
    printed = capsys.readouterr().out
    assert 'Run 3 of 3: a run: not run' in printed
    assert 'Run 1 of 3: broken: not run\n  failed: broken: ' in printed


_CALL = """
import json, sys
from sapa_mm.reproduction.training_run import TrainingRun
TrainingRun('a run', sys.argv[1], sys.argv[2], eval(sys.argv[3])).train()
"""


def test_killed_and_called_again(options, tmp_path):
    """Neither is a process left that trains on, nor is anything of the run lost."""
    # Steps enough to be killed in the middle of.
    options = {**options, 'train_cfg.max_iters': 400, 'train_cfg.val_interval': 400}
    files = RunFiles(str(tmp_path))
    call = [sys.executable, '-c', _CALL, CONFIG, str(tmp_path), repr(options)]
    process = subprocess.Popen(call, env={**os.environ, 'PYTHONPATH': os.pathsep.join(sys.path)})
    deadline = time.monotonic() + 120
    while not (files.read_progress() and files.read_progress().iteration > 3):
        assert process.poll() is None
        assert time.monotonic() < deadline
        time.sleep(0.05)
    run = TrainingRun('a run', CONFIG, str(tmp_path))
    assert run.state.startswith('running, at iteration ')
    worker = subprocess.run(
        ['pgrep', '-P', str(process.pid)], capture_output=True, text=True, check=True
    ).stdout.split()
    process.send_signal(signal.SIGKILL)
    process.wait()
    # The lock is free only when the worker has ended, too.
    with files.lock():
        for pid in worker:
            assert not os.path.exists(f'/proc/{pid}/cwd') or _is_zombie(pid)
    stopped = files.read_progress().iteration
    assert run.state == f'stopped at iteration {stopped} of 400'
    assert stopped < 400


def _is_zombie(pid):
    with open(f'/proc/{pid}/stat') as file:
        return file.read().rpartition(')')[2].split()[0] == 'Z'
