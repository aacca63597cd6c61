"""Command lines of the launchers."""

import subprocess
import sys

import pytest

pytest.importorskip('mmengine')

from sapa_mm.reproduction.launcher import Launcher


def test_one_process():
    assert Launcher().command('a.b', ['c']) == [sys.executable, '-m', 'a.b', 'c']


def test_torchrun():
    launcher = Launcher('pytorch', gpus=8, options=('--max-restarts=1',))
    command = launcher.command('a.b', ['c'])
    assert command[1:5] == ['-m', 'torch.distributed.run', '--nproc-per-node=8', '--standalone']
    assert command[5:] == ['--max-restarts=1', '-m', 'a.b', 'c', '--launcher', 'pytorch']
    assert launcher.world_size == 8


def test_slurm():
    launcher = Launcher('slurm', gpus=4, nodes=2, options=('--partition=gpu',))
    command = launcher.command('a.b', ['c'])
    assert command[0] == 'srun'
    assert {'--nodes=2', '--ntasks=8', '--ntasks-per-node=4', '--gres=gpu:4'} < set(command)
    assert command[-6:] == ['-u', '-m', 'a.b', 'c', '--launcher', 'slurm']
    assert command.index('--partition=gpu') < command.index(sys.executable)
    assert launcher.world_size == 8


@pytest.mark.parametrize(
    ('arguments', 'processes'),
    [(dict(processes=2), 2), (dict(gpus=0), 1), (dict(gpus=0, processes=2), 2)],
)
def test_without_gpus(arguments, processes):
    """They are not asked for, and hidden where Slurm shows them or torchrun starts processes."""
    hidden = ['env', 'CUDA_VISIBLE_DEVICES=-1', sys.executable]
    command = Launcher('slurm', nodes=3, options=('--exclusive',), **arguments).command('a', [])
    assert {f'--ntasks={3 * processes}', f'--ntasks-per-node={processes}'} < set(command)
    assert not [part for part in command if 'gres' in part]
    start = command.index('--exclusive') + 1
    assert command[start:] == [*hidden, '-u', '-m', 'a', '--launcher', 'slurm']
    command = Launcher('pytorch', **arguments).command('a', [])
    assert command[:3] == hidden
    assert f'--nproc-per-node={processes}' in command
    assert Launcher(gpus=0, processes=1).command('a', []) == [*hidden, '-m', 'a']


@pytest.mark.parametrize(
    ('arguments', 'message'),
    [
        (dict(kind='mpi'), 'launcher must be one of none, pytorch, slurm'),
        (dict(gpus=-1), 'gpus must be 0 or more, got -1'),
        (dict(processes=0), 'processes must be 1 or more, got 0'),
        (dict(nodes=0), 'nodes must be 1 or more, got 0'),
        (dict(gpus=2, processes=3), 'processes must be one for each of 2 `gpus`, got 3'),
        (dict(gpus=2), "launcher 'none' starts one process, got gpus 2 and nodes 1"),
        (dict(processes=2), "launcher 'none' starts one process, got processes 2 and nodes 1"),
        (dict(kind='pytorch', nodes=2), "^nodes must be 1 with launcher 'pytorch', got 2; choose"),
        (dict(options=('--partition=gpu',)), "'none' takes no options, got --partition=gpu"),
    ],
)
def test_bad_input(arguments, message):
    with pytest.raises(ValueError, match=message):
        Launcher(**arguments)


@pytest.mark.extended
def test_torchrun_knows_the_options():
    """torchrun ends with an error if it does not know an option."""
    command = Launcher('pytorch').command('a.b', [])
    help_of = [*command[: command.index('-m', 3)], '--help']
    assert subprocess.run(help_of, capture_output=True).returncode == 0


def test_missing_program(monkeypatch):
    monkeypatch.setenv('PATH', '')
    Launcher('pytorch').check_program()
    with pytest.raises(FileNotFoundError, match="'slurm': there is no srun"):
        Launcher('slurm').check_program()
