"""Runs in processes of their own: once, resumed, failing, killed."""

import contextlib
import dataclasses
import os
import signal
import subprocess
import sys
import threading
import time

import pytest

pytest.importorskip('mmseg')

from sapa_mm.reproduction.file_lock import file_lock
from sapa_mm.reproduction.launcher import Launcher, child_process, find_reason
from sapa_mm.reproduction.train_all import train_all
from sapa_mm.reproduction.training_result import TrainingResult
from sapa_mm.reproduction.training_run import TrainingFailed, TrainingRun

from ..support.run_tool import environment
from ..support.scenes import CONFIG, few_steps


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

    monkeypatch.setattr(TrainingRun, '_start', None)
    assert run.train().metrics == result.metrics


@pytest.mark.extended
def test_a_run_that_was_killed_while_it_validates_or_saves(options, tmp_path):
    run = few_steps(tmp_path, options)
    result = run.train()
    # As if it had been killed during the last validation.
    (tmp_path / 'result.json').unlink()
    again = run.train()
    assert again.metrics == result.metrics
    assert again.seconds_per_iteration > 0
    # This process only validated.
    assert again.peak_memory >= result.peak_memory / 2

    # As if it had been killed in its first save.
    (tmp_path / 'result.json').unlink()
    (tmp_path / 'iter_1.pth').unlink()
    with open(tmp_path / 'iter_2.pth', 'rb+') as file:
        file.truncate(5000)
    assert run.train().metrics == result.metrics
    assert {path.name for path in tmp_path.glob('iter_*')} == {
        'iter_1.pth',
        'iter_2.pth',
        'iter_2.pth.damaged',
    }


@pytest.mark.extended
def test_a_run_that_fails_tells_why(options, tmp_path):
    """Also under torchrun, whose own error says nothing."""
    run = few_steps(tmp_path, options, **{'optim_wrapper.optimizer.betas': (2, 2)})
    with pytest.raises(TrainingFailed, match=r'^Invalid beta .*console.log') as failure:
        run.train(Launcher('pytorch'))
    assert run.state == f'failed: {failure.value}'
    assert not (tmp_path / 'result.json').exists()


def test_one_failure_leaves_the_others(options, tmp_path, monkeypatch, capsys):
    done = TrainingResult({'mIoU': 1.0}, 1000, 0.5, 10**8, 'a CPU, 1 thread')
    monkeypatch.setattr(TrainingRun, '_start', lambda *_: done)
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
    assert results == [('a run', done)]
    assert runs[0].state.startswith('failed: ')
    printed = capsys.readouterr().out
    assert 'Run 3 of 3: a run: not run' in printed
    assert 'Run 1 of 3: broken: not run\n  failed: broken: ' in printed


@dataclasses.dataclass(frozen=True)
class Script(Launcher):
    """Runs a line of Python instead of the worker."""

    script: str = ''

    def command(self, *_):
        return [sys.executable, '-c', self.script]


def test_the_reason_is_of_this_attempt(options, tmp_path):
    run = few_steps(tmp_path, options)
    for script, reason in (
        ("print('ValueError: old')\nraise SystemExit(1)", 'ValueError: old'),
        ('import os; os.kill(os.getpid(), 9)', r'killed by signal 9 \(SIGKILL\)'),
        ('raise SystemExit(3)', 'exit code 3'),
    ):
        with pytest.raises(TrainingFailed, match=f'^{reason} '):
            run.train(Script(script=script))


_SIGNAL, _KILLED = 'Signal {} (SIG{}) received by PID 7', 'killed by signal 9 (SIGKILL)'

_STEP = 'STEP 4.0 ON n1 CANCELLED AT 12:00 DUE TO TIME LIMIT'
_CANCELLED = f'slurmstepd-n1: error: *** {_STEP} ***\nsrun: error: n1: tasks 0-1: '
_TASK = 'srun: error: n1: task 1: '


@pytest.mark.parametrize(
    ('printed', 'code', 'reason'),
    [
        ('a.b.ChildFailedError: oh', 1, 'exit code 1'),
        ('x\ncv2.error: OpenCV(4) bad\ny', 1, 'cv2.error: OpenCV(4) bad'),
        ('[rank1]: RuntimeError: one\na.b.ChildFailedError: oh', 1, 'RuntimeError: one'),
        ('error: two\n', 2, 'two'),
        ('srun: error: no such partition', 1, 'srun: error: no such partition'),
        ('An error: three', 1, 'exit code 1'),
        ('\n'.join([_SIGNAL.format(15, 'TERM'), _SIGNAL.format(9, 'KILL')]), 1, _KILLED),
        ('ValueError: before', -11, 'killed by signal 11 (SIGSEGV)'),
        ('', 137, _KILLED),
        (f'{_CANCELLED}Terminated', 143, _STEP),
        (f'{_CANCELLED}Killed', 137, _STEP),
        (f'{_TASK}Out Of Memory\n{_CANCELLED}Terminated', 143, f'{_TASK}Out Of Memory'),
        (f'{_TASK}Exited with exit code 3', 3, f'{_TASK}Exited with exit code 3'),
        (f'KeyError: 1\n{_TASK}Exited with exit code 1\n{_CANCELLED}Killed', 137, 'KeyError: 1'),
        ('', 0, 'exit code 0'),
    ],
)
def test_reasons_in_what_was_printed(printed, code, reason):
    assert find_reason(printed, code) == reason


_CALL = """
import sys
from sapa_mm.reproduction.training_run import TrainingRun
TrainingRun('a run', sys.argv[1], sys.argv[2], eval(sys.argv[3])).train()
"""


@pytest.fixture
def long_run(options, tmp_path):
    """A run that is long enough to be killed halfway."""
    options = {**options, 'train_cfg.max_iters': 120, 'train_cfg.val_interval': 120}
    return few_steps(tmp_path, {**options, 'default_hooks.checkpoint.interval': 3})


def wait_until_it_trains(run, process):
    deadline = time.monotonic() + 120
    while not (run.files.read_progress() and run.files.read_progress().iteration > 3):
        assert process.poll() is None
        assert time.monotonic() < deadline
        time.sleep(0.05)


def children_of(pid):
    pgrep = subprocess.run(['pgrep', '-P', str(pid)], capture_output=True, text=True, check=True)
    return pgrep.stdout.split()


def is_running(pid):
    # One that is ending has no working directory.
    if not os.path.exists(f'/proc/{pid}/cwd'):
        return False
    with open(f'/proc/{pid}/stat') as file:
        return file.read().rpartition(')')[2].split()[0] != 'Z'


@pytest.mark.extended
def test_killed_and_called_again(long_run):
    """No process keeps training, and nothing of the run is lost."""
    run, files = long_run, long_run.files
    call = [sys.executable, '-c', _CALL, CONFIG, run.work_dir, repr(run.cfg_options)]
    process = subprocess.Popen(call, env=environment())
    wait_until_it_trains(run, process)
    assert run.state.startswith('running, at iteration ')
    workers = children_of(process.pid)
    process.send_signal(signal.SIGKILL)
    process.wait()
    # The lock is released only when the worker has ended as well.
    with file_lock(files.path('run.lock')):
        assert not any(map(is_running, workers))
    stopped = files.read_progress().iteration
    assert run.state == f'stopped at iteration {stopped} of 120'
    assert stopped < 120

    result = run.train()
    assert run.state == 'finished'
    assert 0 <= result.metrics['mIoU'] <= 100
    assert files.read_progress().iteration == 120
    with open(files.console) as console:
        assert 'resumed epoch: 0, iter: ' in console.read()


@pytest.mark.extended
def test_torchrun_killed(long_run, monkeypatch):
    """torchrun does not pass the lock on to its processes, so they end with it."""
    workers = []

    def kill(process):
        wait_until_it_trains(long_run, process)
        workers.extend(children_of(process.pid))
        process.kill()

    @contextlib.contextmanager
    def child_to_kill(*args, **options):
        with child_process(*args, **options) as process:
            threading.Thread(target=kill, args=[process]).start()
            yield process

    monkeypatch.setattr('sapa_mm.reproduction.training_run.child_process', child_to_kill)
    with pytest.raises(TrainingFailed, match=r'killed by signal 9 \(SIGKILL\)'):
        long_run.train(Launcher('pytorch'))
    assert len(workers) == 1
    deadline = time.monotonic() + 10
    while is_running(*workers):
        assert time.monotonic() < deadline
        time.sleep(0.05)
