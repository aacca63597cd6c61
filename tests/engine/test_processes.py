"""Processes of a run on a CPU: how they find each other, whatever starts them."""

import json
import os
import socket
import subprocess
import sys

import pytest

pytest.importorskip('mmengine')


from sapa_mm.engine.processes import check_launcher

from ..support.run_tool import environment

_SCRIPT = """
import json, os, sys
from mmengine.config import Config
from mmengine.dist import all_gather_object, get_backend
from sapa_mm.engine.processes import start_processes
start_processes(Config(json.loads(sys.argv[1])))
assert get_backend() == 'gloo'
names = ['RANK', 'WORLD_SIZE', 'LOCAL_RANK', 'MASTER_ADDR', 'MASTER_PORT']
print(all_gather_object([os.environ[name] for name in names]))
"""
_SLURM = {'SLURM_NTASKS': '2', 'SLURM_JOB_ID': '7', 'SLURM_STEP_ID': '1'}
_SLURM |= {'SLURM_STEP_NODELIST': 'localhost', 'MASTER_ADDR': 'localhost'}
_MPI = {'OMPI_COMM_WORLD_SIZE': '2', 'MASTER_ADDR': 'localhost'}


@pytest.mark.parametrize(
    ('launcher', 'common', 'rank', 'local_rank'),
    [
        ('slurm', _SLURM, 'SLURM_PROCID', 'SLURM_LOCALID'),
        ('mpi', _MPI, 'OMPI_COMM_WORLD_RANK', 'OMPI_COMM_WORLD_LOCAL_RANK'),
    ],
)
def test_two_processes_find_each_other(launcher, common, rank, local_rank):
    """As if on two nodes, each with one process."""
    with socket.socket() as free:
        free.bind(('localhost', 0))
        port = free.getsockname()[1]
    cfg = {'launcher': launcher, 'env_cfg': {'dist_cfg': {'port': port, 'timeout': 60}}}
    hidden = {'CUDA_VISIBLE_DEVICES': '-1'}
    processes = [
        subprocess.Popen(
            [sys.executable, '-c', _SCRIPT, json.dumps(cfg)],
            env={**environment(), **hidden, **common, rank: str(number), local_rank: '0'},
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        )
        for number in range(2)
    ]  # fmt: skip
    expected = str([[str(number), '2', '0', 'localhost', str(port)] for number in range(2)])
    for process in processes:
        out, err = process.communicate(timeout=120)
        assert process.returncode == 0, err
        assert out.strip() == expected


@pytest.mark.parametrize(
    ('launcher', 'given', 'message'),
    [
        ('horovod', {}, "^launcher must be one of none, pytorch, slurm, mpi, got 'horovod'"),
        ('pytorch', {'RANK': '0'}, '^launcher: pytorch needs LOCAL_RANK, .* with torchrun$'),
        # As in a batch script.
        (
            'slurm',
            dict.fromkeys(('SLURM_PROCID', 'SLURM_LOCALID', 'SLURM_NTASKS', 'SLURM_JOB_ID'), '1'),
            '^launcher: slurm needs SLURM_STEP_ID, SLURM_STEP_NODELIST in the .* with srun$',
        ),
        ('mpi', {}, '^launcher: mpi needs .*, MASTER_ADDR in .* mpirun -x MASTER_ADDR='),
    ],
)
def test_processes_that_nobody_started(monkeypatch, launcher, given, message):
    for name in list(os.environ):
        if name.startswith(('SLURM_', 'OMPI_', 'MASTER_', 'RANK', 'LOCAL_RANK', 'WORLD_SIZE')):
            monkeypatch.delenv(name)
    for name, value in given.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(ValueError, match=message):
        check_launcher(launcher)
