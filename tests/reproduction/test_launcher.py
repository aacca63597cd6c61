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


@pytest.mark.parametrize(('rank', 'is_first'), [(0, True), (1, False)])
def test_torchrun_on_several_nodes(rank, is_first):
    options = (f'--node-rank={rank}', '--master-addr=host')
    launcher = Launcher('pytorch', gpus=8, nodes=2, options=options)
    command = launcher.command('a.b', ['c'])
    assert '--nnodes=2' in command
    assert '--standalone' not in command
    assert command[command.index('--node-rank=' + str(rank)) :][:2] == list(options)
    assert launcher.is_first_node == is_first


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
    ],
)
def test_bad_input(arguments, message):
    with pytest.raises(ValueError, match=message):
        Launcher(**arguments)


def test_torchrun_knows_the_options():
    """With an option that it does not know, it would end with an error."""
    launcher = Launcher('pytorch', nodes=2, options=('--node-rank=1', '--master-addr=host'))
    command = launcher.command('a.b', [])
    help_of = [*command[: command.index('-m', 3)], '--help']
    assert subprocess.run(help_of, capture_output=True).returncode == 0
