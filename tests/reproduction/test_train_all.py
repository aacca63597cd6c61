"""Runs that several processes share. Here they are trained by a stub; see test_sharing.py."""

import contextlib
import io

import pytest

pytest.importorskip('mmseg')

from rich.console import Console

from sapa_mm.reproduction import train_all as module
from sapa_mm.reproduction.file_lock import file_lock
from sapa_mm.reproduction.run_files import Progress
from sapa_mm.reproduction.train_all import _ProgressPrinter, train_all
from sapa_mm.reproduction.training_result import TrainingResult
from sapa_mm.reproduction.training_run import TrainingFailed, TrainingRun

from ..support.scenes import few_steps

RESULT, ELSEWHERE = (
    TrainingResult({'mIoU': miou}, 1000, 0.5, 10**8, 'a CPU, 1 thread') for miou in (1.0, 2.0)
)


@pytest.fixture
def run_beside(options, tmp_path, monkeypatch):
    """Train two runs, while another process has the first until the second is trained."""
    monkeypatch.setattr(module, '_SECONDS_BETWEEN_ROUNDS', 0.01)

    def run(end_elsewhere, fails=False):
        runs = [few_steps(tmp_path / name, options) for name in ('first', 'second')]
        started = []

        def start(one, *_):
            started.append(one)
            if one is runs[1]:
                end_elsewhere(runs[0].files)
                other.close()
            elif fails:
                raise TrainingFailed('broken')
            one.files.write_result(RESULT)
            return RESULT

        monkeypatch.setattr(TrainingRun, '_start', start)
        results = []
        with contextlib.ExitStack() as other:
            other.enter_context(file_lock(runs[0].files.path('run.lock')))
            failures = train_all(runs, on_result=lambda *result: results.append(result))
        return runs, started, results, failures

    return run


def test_finished_by_another_process(run_beside, capsys):
    runs, started, results, failures = run_beside(lambda files: files.write_result(ELSEWHERE))
    assert started == runs[1:]
    assert results == [(runs[1], RESULT), (runs[0], ELSEWHERE)]
    assert failures == []
    printed = capsys.readouterr().out.splitlines()
    assert [line for line in printed if 'OneDL' not in line] == [
        'Run 1 of 2: a run: running',
        '  skipped for now: another process holds it',
        'Run 2 of 2: a run: not run',
        'Waiting for runs of other processes: a run',
        'Run 1 of 2: a run: finished',
    ]


def test_taken_up_from_a_process_that_was_killed(run_beside):
    runs, started, results, failures = run_beside(lambda files: None)
    assert started == runs[::-1]
    assert results == [(runs[1], RESULT), (runs[0], RESULT)]
    assert failures == []


def test_a_run_that_fails_everywhere_is_tried_once_by_each(run_beside):
    runs, started, results, failures = run_beside(
        lambda files: files.write_failure('broken'), fails=True
    )
    assert started == runs[::-1]
    assert results == [(runs[1], RESULT)]
    assert failures == ['a run: broken']


@pytest.mark.parametrize('is_terminal', [True, False])
def test_progress(is_terminal, monkeypatch):
    stream, now = io.StringIO(), iter([0.0, 10.0, 40.0, 50.0])
    console = Console(file=stream, force_terminal=is_terminal, width=100, _environ={})
    monkeypatch.setattr(module, 'Console', lambda **_: console)
    monkeypatch.setattr(module.time, 'monotonic', lambda: next(now))
    with _ProgressPrinter(others=2, durations=[60.0]) as printer:
        printer(Progress(0, 2000, None))
        printer(Progress(1000, 2000, 40.0))
        printer(Progress(1250, 2000, 30.0))
    # 70 s for each of the other two: the run before took 60, this one takes 80.
    line = '  iteration 1,000 of 2,000, 0:00:40 left; 0:03:00 for all runs'
    printed = stream.getvalue()
    if is_terminal:
        # One line, which stays in its last form.
        assert printed.count('iteration') >= 3
        assert line in printed
        assert printed.count('\n') == 1
        assert '  iteration 1,250 of 2,000' in printed.partition('\n')[0].rpartition('\r')[2]
    else:
        assert printed == line + '\n'  # one every 30 seconds
