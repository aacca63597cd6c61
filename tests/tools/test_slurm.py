"""The tools through a Slurm of one node; ``pytest -m extended -rP`` shows what ran."""

import json
import os
import re
import signal
import subprocess
import sys
import time

import pytest

pytest.importorskip('mmseg')

from sapa_mm.datasets import write_scenes
from sapa_mm.reproduction.launcher import Launcher, find_reason
from sapa_mm.reproduction.run_files import RunFiles

from ..support.run_tool import TOOLS, environment, finish
from ..support.scenes import CONFIG
from ..support.slurm_cluster import slurm_cluster, why_not

pytestmark = [
    pytest.mark.extended,
    pytest.mark.skipif(why_not() is not None, reason=f'Slurm {why_not()}'),
]

# Without randomness and batch statistics of each process.
OPTIONS = [
    'train_dataloader.dataset.pipeline.2.crop_size=(64,64)',
    'train_dataloader.dataset.pipeline.3.prob=0.0',
    'model.data_preprocessor.size=(64,64)',
    'model.decode_head.norm_cfg.type=GN',
    'model.decode_head.norm_cfg.num_groups=8',
]


@pytest.fixture(scope='module')
def cluster(tmp_path_factory):
    folder = tmp_path_factory.mktemp('slurm') / 'own'
    with slurm_cluster(folder) as own:
        yield own
    # What became of each job.
    lines = (folder / 'slurmctld.log').read_text().splitlines()
    print(*(line for line in lines if 'JobId=' in line), sep='\n')


@pytest.fixture
def slurm(cluster, monkeypatch):
    """Slurm's commands find the cluster, and processes no real GPU."""
    for name, value in {**cluster, 'CUDA_VISIBLE_DEVICES': '-1'}.items():
        monkeypatch.setenv(name, value)
    yield
    assert no_job_is_left()


@pytest.fixture(scope='module')
def scenes(tmp_path_factory):
    root = tmp_path_factory.mktemp('scenes')
    write_scenes(root, num_train=4, num_val=3, size=(64, 64))
    return root


def run(*command, code=0):
    """Run a command and show the essence of what it printed."""
    print('$', *command)
    printed = finish(command, code)
    essence = re.compile(r'Iter\((val|test)\)|^Run \d|^  [^ ]|^srun: |^\d ')
    print(*filter(essence.search, printed.splitlines()), sep='\n', end='\n\n')
    return printed


def jobs():
    """The ids of Slurm's jobs."""
    return finish(['squeue', '--noheader', '--format=%A']).split()


def no_job_is_left():
    """After the seconds that Slurm takes to see its end."""
    deadline = time.monotonic() + 20
    while jobs():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.2)
    return True


def steps(module, folder, **launcher):
    """The command of a module that is a file in a folder."""
    command = Launcher('slurm', **launcher, options=(f'--chdir={folder}',)).command(module, [])
    return [part for part in command if part != '-u']


def test_train_and_test_on_two_processes(slurm, scenes, tmp_path):
    """They end with the metrics of one process with batches of twice the size."""
    options = [f'{split}_dataloader.dataset.data_root={scenes}' for split in ('train', 'val')]
    options += [f'test_dataloader.dataset.data_root={scenes}', 'train_cfg.max_iters=3']
    options += ['train_cfg.val_interval=3', 'randomness.seed=3', *OPTIONS]
    python = [sys.executable, '-u']
    srun = ['srun', '--ntasks=2', '--kill-on-bad-exit=1', *python]
    metrics = {}
    for name, start, launcher, batch in (
        ('one', python, 'none', 2),
        ('two', srun, 'slurm', 1),
    ):
        own = ['--launcher', launcher, '--work-dir', tmp_path / name]
        settings = ['--cfg-options', *options, f'train_dataloader.batch_size={batch}']
        log = run(*start, TOOLS / 'train.py', CONFIG, *own, *settings)
        assert log.count('Iter(val) [') == 1  # the first process alone
        run(*start, TOOLS / 'test.py', CONFIG, tmp_path / name / 'iter_3.pth', *own, *settings)
        (path,) = tmp_path.glob(f'{name}/*/*.json')
        metrics[name] = json.loads(path.read_text())
        print(name, metrics[name])
    # Sums in another order may change the class of a pixel.
    for name in ('aAcc', 'mIoU', 'mAcc', 'bIoU'):
        assert metrics['two'][name] == pytest.approx(metrics['one'][name], abs=0.2), name


def cancel_the_job(tool):
    print('$ scancel', *jobs())
    finish(['scancel', *jobs()])


def kill_a_process(tool):
    """The second of two processes, as the kernel does when memory is short."""
    pids = [line.split() for line in finish(['scontrol', 'listpids']).splitlines()]
    kill(*(int(row[0]) for row in pids if row[3] == '1'))


def kill_the_tool(tool):
    """srun ends the job then."""
    kill(tool.pid)


def kill_srun_too(tool):
    """With the child that would end the job for it: the job goes on."""
    (srun,) = children_of(tool.pid)
    kill(*children_of(srun), srun, tool.pid)


def kill(*pids):
    print('$ kill -9', *pids)
    for pid in pids:
        os.kill(int(pid), signal.SIGKILL)


def children_of(pid):
    return finish(['pgrep', '-P', pid]).split()


ITERATIONS = 60


@pytest.fixture
def row(scenes, tmp_path):
    """The command of a row on two processes, and its folder."""
    command = [sys.executable, str(TOOLS / 'reproduce.py'), 'run', '--table', '10', '--rows', '2']
    command += ['--scenes', '--iterations', str(ITERATIONS), '--data-root', str(scenes)]
    command += ['--out', str(tmp_path), '--launcher', 'slurm', '--processes', '2']
    command += ['--cfg-options', *OPTIONS, 'train_dataloader.batch_size=1']
    command += ['default_hooks.checkpoint.interval=5']
    return command, tmp_path / 'segformer_mit-b1_sapa-b_8xb2-80k_ade20k-512x512' / 'seed-0'


def start_and(kill, row):
    """Kill something of a row that has trained for some iterations."""
    command, folder = row
    print('$', *command)
    with subprocess.Popen(
        command, env=environment(), stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    ) as tool:
        deadline = time.monotonic() + 600
        while not list(folder.glob('iter_1?.pth')):
            assert tool.poll() is None
            assert time.monotonic() < deadline
            time.sleep(0.05)
        job, *others = jobs()
        assert not others
        kill(tool)
        printed = tool.communicate()[0]
    print(printed)
    return tool.returncode, printed, job


@pytest.fixture(scope='module')
def ends():
    """The metrics with which rows have ended."""
    return []


def check_finished(folder, ends):
    """Check the end of a row, which is the same whatever happened; return where it resumed."""
    files = RunFiles(str(folder))
    assert files.read_progress().iteration == ITERATIONS
    result = files.read_result()
    print(result)
    ends.append(result.metrics)
    assert ends[-1] == ends[0]
    assert 0 <= result.metrics['mIoU'] <= 100
    assert result.device.endswith(', 2 processes')
    console = (folder / 'console.log').read_text()
    resumed = [line for line in console.splitlines() if 'resumed epoch: 0, iter: ' in line]
    print(*resumed)
    return [int(line.rpartition(' ')[2]) for line in resumed]


@pytest.mark.parametrize(
    ('kill', 'code', 'reason'),
    [
        (cancel_the_job, 1, 'STEP {}.0 ON '),
        (kill_a_process, 1, ': task 1: Killed'),
        (kill_the_tool, -9, ''),
    ],
)
def test_a_row_killed_in_the_middle_is_resumed(slurm, row, ends, kill, code, reason):
    returned, printed, job = start_and(kill, row)
    assert returned == code
    if reason:
        assert 'failed: SAPA-B, B1, similarity_norm=softmax, seed 0: ' in printed
        assert reason.format(job) in printed
        # No process is left to write into the folder.
        assert no_job_is_left()
    command, folder = row
    assert RunFiles(str(folder)).read_progress().iteration < ITERATIONS
    run(*command)
    (start,) = check_finished(folder, ends)
    assert 10 <= start < ITERATIONS


def test_a_row_whose_job_goes_on_is_waited_for(slurm, row, ends):
    """Two jobs in one folder would overwrite each other's checkpoints."""
    start_and(kill_srun_too, row)
    command, folder = row
    assert RunFiles(str(folder)).read_result() is None
    assert 'skipped for now: another process holds it' in run(*command)
    assert check_finished(folder, ends) == []
    # Nobody has told Slurm that it is over.
    finish(['scancel', *jobs()])


def test_gpus_are_allocated(slurm, tmp_path):
    """Each task sees those of its node; without GPUs it sees none, and Slurm has none to give."""
    (tmp_path / 'show.py').write_text(
        'import os\n'
        'names = ("SLURM_PROCID", "SLURM_STEP_GPUS", "CUDA_VISIBLE_DEVICES")\n'
        'print(*map(os.environ.get, names))'
    )
    for launcher, shown in (
        (dict(gpus=2), ['0 0,1 0,1', '1 0,1 0,1']),
        (dict(processes=2), ['0 None -1', '1 None -1']),
    ):
        printed = run(*steps('show', tmp_path, **launcher))
        # srun may say that it waits for the end of another job.
        lines = [line for line in printed.splitlines() if not line.startswith('srun: job ')]
        assert sorted(lines) == shown
    printed = run(*steps('show', tmp_path, gpus=3), code=1)
    assert 'Requested node configuration is not available' in printed


def test_one_failure_ends_the_job(slurm, tmp_path):
    (tmp_path / 'fail.py').write_text(
        'import os, time\n'
        'if os.environ["SLURM_PROCID"] == "1":\n'
        '    raise SystemExit(3)\n'
        'time.sleep(300)'
    )
    start = time.monotonic()
    printed = run(*steps('fail', tmp_path, processes=2), code=128 + signal.SIGTERM)
    assert time.monotonic() - start < 60
    reason = find_reason(printed, 128 + signal.SIGTERM)
    assert reason.endswith(': task 1: Exited with exit code 3')


def test_two_jobs_on_a_node_have_ports_of_their_own(slurm, tmp_path):
    (tmp_path / 'port.py').write_text(
        'import os\n'
        'from mmengine.config import Config\n'
        'from mmengine.dist import all_gather_object\n'
        'from sapa_mm.engine.processes import start_processes\n'
        'start_processes(Config({"launcher": "slurm"}))\n'
        'names = ("RANK", "LOCAL_RANK", "WORLD_SIZE", "MASTER_ADDR", "MASTER_PORT")\n'
        'print(all_gather_object([os.environ[name] for name in names]))'
    )
    command = steps('port', tmp_path, processes=2)
    both = [
        subprocess.Popen(command, env=environment(), stdout=subprocess.PIPE, text=True)
        for _ in range(2)
    ]
    ports = set()
    for process in both:
        printed = process.communicate()[0]
        print(printed)
        assert process.returncode == 0
        first, second = printed.splitlines()
        assert first == second
        (rank, local, size, host, port), other = eval(first)
        assert [rank, local, size] == ['0', '0', '2']
        assert other == ['1', '1', '2', host, port]
        ports.add(port)
    assert len(ports) == 2
