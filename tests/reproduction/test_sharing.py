"""Two calls of the tool on one folder at once."""

import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

pytest.importorskip('mmseg')

from sapa_mm.reproduction.file_lock import file_lock
from sapa_mm.reproduction.paper_tables import PAPER_TABLES
from sapa_mm.reproduction.run_files import RunFiles
from sapa_mm.reproduction.table_runs import row_dir

from ..support.run_tool import TOOLS, environment

OPTIONS = {
    'train_dataloader.dataset.pipeline.2.crop_size': '(64,64)',
    'model.data_preprocessor.size': '(64,64)',
    'train_dataloader.batch_size': 2,
}


class Calls:
    """Calls of ``reproduce.py run`` for the first two rows of Table 10."""

    def __init__(self, out, scenes, iterations):
        self.command = [sys.executable, TOOLS / 'reproduce.py', 'run', '--table', '10']
        self.command += ['--rows', '1', '2', '--scenes', '--iterations', str(iterations)]
        self.command += ['--data-root', scenes, '--out', out / 'results', '--cfg-options']
        self.command += [f'{key}={value}' for key, value in OPTIONS.items()]
        self.out, self.processes = out, []
        folders = [row_dir(str(out / 'results'), row) for row in PAPER_TABLES[10].rows[:2]]
        self.rows = [RunFiles(os.path.join(folder, 'seed-0')) for folder in folders]

    def start_two_that_wait(self):
        """Start two calls that find all rows taken."""
        for index in range(2):
            with open(self.out / f'{index}.log', 'w') as log:
                process = subprocess.Popen(self.command, stdout=log, stderr=log, env=environment())
            self.processes.append(process)
        for index in range(2):
            self.wait_for(lambda index=index: 'Waiting for ' in self.printed(index))

    def printed(self, index):
        return (self.out / f'{index}.log').read_text()

    def wait_for(self, condition):
        deadline = time.monotonic() + 240
        while not condition():
            assert time.monotonic() < deadline
            time.sleep(0.05)

    def wait_for_end(self, index):
        assert self.processes[index].wait(240) == 0, self.printed(index)

    def trained(self, index):
        """The rows that a call trained, not those that another took after it had announced them."""
        start = r'Run (\d) of 2: [^:]*: (?:not run|stopped at .*)\n(?!  skipped for now)'
        return re.findall(start, self.printed(index))

    def logs_of(self, row):
        return list(Path(row.work_dir).glob('*/vis_data'))


@pytest.fixture
def calls(tmp_path, scenes):
    made = []

    def make(iterations):
        made.append(Calls(tmp_path, scenes[0], iterations))
        return made[0]

    yield make
    for process in made[0].processes:
        process.kill()
        process.wait()


def test_two_calls_share_the_rows(calls):
    calls = calls(iterations=2)
    row, other = calls.rows
    with file_lock(row.path('run.lock')), file_lock(other.path('run.lock')):
        calls.start_two_that_wait()
        assert not any(row.read_settings() for row in calls.rows)
    for index in range(2):
        calls.wait_for_end(index)
    assert all(row.read_result() for row in calls.rows)
    first, second = calls.trained(0), calls.trained(1)
    assert sorted(first + second) == ['1', '2']
    assert first
    assert second
    # Nothing was trained twice.
    assert [len(calls.logs_of(row)) for row in calls.rows] == [1, 1]


@pytest.mark.extended
def test_the_row_of_a_call_that_is_killed_is_taken_up(calls):
    calls = calls(iterations=80)
    row, other = calls.rows
    with file_lock(other.path('run.lock')):
        with file_lock(row.path('run.lock')):
            calls.start_two_that_wait()
        calls.wait_for(lambda: (progress := row.read_progress()) and progress.iteration > 30)
        (killed,) = (index for index in range(2) if calls.trained(index))
        assert calls.processes[killed].poll() is None
        calls.processes[killed].send_signal(signal.SIGKILL)
    survivor = 1 - killed
    calls.wait_for_end(survivor)
    assert row.read_result()
    assert other.read_result()
    assert calls.trained(killed) == ['1']
    assert sorted(calls.trained(survivor)) == ['1', '2']
    assert 'resumed epoch: 0, iter: ' in Path(row.console).read_text()
    assert [len(calls.logs_of(one)) for one in calls.rows] == [2, 1]
