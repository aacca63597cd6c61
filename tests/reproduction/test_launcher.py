"""Command lines of the launchers."""

import subprocess
import sys

import pytest

pytest.importorskip('mmengine')

from sapa_mm.reproduction.launcher import Launcher


def test_one_process():
    assert Launcher().command('a.b', ['c']) == [sys.executable, '-m', 'a.b', 'c']


def test_torchrun():
    command = Launcher('pytorch', gpus=8).command('a.b', ['c'])
    assert command[1:5] == ['-m', 'torch.distributed.run', '--nproc-per-node=8', '--standalone']
    assert command[5:] == ['-m', 'a.b', 'c', '--launcher', 'pytorch']


@pytest.mark.parametrize(
    ('options', 'is_first'),
    [
        ('--node-rank=0 --master-addr=host', True),
        ('--node-rank=1 --master-addr=host', False),
        ('--node-rank 0 --master-addr host', True),
        ('--master_addr host --node_rank 1', False),
        ('--rdzv-backend=c10d --rdzv-endpoint=host:29400 --node-rank=1', False),
    ],
)
def test_torchrun_on_several_nodes(options, is_first):
    options = tuple(options.split())
    launcher = Launcher('pytorch', gpus=8, nodes=2, options=options)
    command = launcher.command('a.b', ['c'], attempt='abc')
    assert '--nnodes=2' in command
    assert '--standalone' not in command
    start = command.index(options[0])
    assert command[start : start + len(options) + 1] == [*options, '--rdzv-id=abc']
    assert launcher.is_first_node == is_first
    assert launcher.processes == 16


def test_slurm():
    launcher = Launcher('slurm', gpus=4, nodes=2, options=('--partition=gpu',))
    command = launcher.command('a.b', ['c'])
    assert command[0] == 'srun'
    assert {'--nodes=2', '--ntasks=8', '--ntasks-per-node=4', '--gres=gpu:4'} < set(command)
    assert command[-6:] == ['-u', '-m', 'a.b', 'c', '--launcher', 'slurm']
    assert command.index('--partition=gpu') < command.index(sys.executable)


@pytest.mark.parametrize(
    ('arguments', 'message'),
    [
        (dict(kind='mpi'), 'launcher must be one of none, pytorch, slurm'),
        (dict(gpus=0), 'gpus must be 1 or more, got 0'),
        (dict(gpus=2), "launcher 'none' starts one process"),
        (dict(kind='pytorch', nodes=2), '--node-rank=0 --master-addr=HOST, got none'),
        (
            dict(kind='pytorch', nodes=2, options=('--node-rank=0',)),
            '--master-addr=HOST, got --node-rank=0',
        ),
        (
            dict(kind='pytorch', nodes=2, options=('--rdzv-endpoint=host:1',)),
            'needs --node-rank, an integer from 0 to 1, another on each node, got none',
        ),
        (
            dict(kind='pytorch', nodes=2, options=('--master-addr=host', '--node-rank=2')),
            'from 0 to 1, another on each node, got 2',
        ),
        (dict(options=('--partition=gpu',)), "'none' takes no options, got --partition=gpu"),
    ],
)
def test_bad_input(arguments, message):
    with pytest.raises(ValueError, match=message):
        Launcher(**arguments)


def test_torchrun_knows_the_options():
    """With an option that it does not know, it would end with an error."""
    launcher = Launcher('pytorch', nodes=2, options=('--node-rank=1', '--master-addr=host'))
    command = launcher.command('a.b', [], attempt='abc')
    help_of = [*command[: command.index('-m', 3)], '--help']
    assert subprocess.run(help_of, capture_output=True).returncode == 0


def test_missing_program(monkeypatch):
    monkeypatch.setenv('PATH', '')
    Launcher('pytorch').check_program()
    with pytest.raises(FileNotFoundError, match="'slurm': there is no srun"):
        Launcher('slurm').check_program()
