"""The processes of a run: what their launcher tells them, and how they find each other."""

import atexit
import datetime
import gc
import os
import subprocess
from typing import Any

import torch.distributed
from mmengine.config import Config
from mmengine.device import get_device
from mmengine.dist import get_world_size, init_dist, is_distributed

#: What starts the processes of each launcher, and the variables that it tells them: their rank,
#: their rank on the node and their number come first.
LAUNCHERS = {
    'pytorch': ('torchrun', ['RANK', 'LOCAL_RANK', 'WORLD_SIZE', 'MASTER_ADDR', 'MASTER_PORT']),
    'slurm': (
        'srun',
        # In a batch script, which is one process, the last two are missing.
        [
            *('SLURM_PROCID', 'SLURM_LOCALID', 'SLURM_NTASKS', 'SLURM_JOB_ID'),
            *('SLURM_STEP_ID', 'SLURM_STEP_NODELIST'),
        ],
    ),
    'mpi': (
        "Open MPI's mpirun -x MASTER_ADDR=<host of rank 0>",
        [
            *('OMPI_COMM_WORLD_RANK', 'OMPI_COMM_WORLD_LOCAL_RANK', 'OMPI_COMM_WORLD_SIZE'),
            'MASTER_ADDR',
        ],
    ),
}


def check_launcher(launcher: str) -> None:
    """Check that this process was started by the program that its launcher stands for.

    Args:
        launcher (str): The job launcher: 'none', 'pytorch', 'slurm' or 'mpi'.

    Raises:
        ValueError: If there is no such launcher, or the environment lacks its variables.
    """
    if launcher == 'none':
        return
    if launcher not in LAUNCHERS:
        allowed = ', '.join(['none', *LAUNCHERS])
        raise ValueError(f'launcher must be one of {allowed}, got {launcher!r}')
    program, variables = LAUNCHERS[launcher]
    missing = [name for name in variables if name not in os.environ]
    if missing:
        raise ValueError(
            f'launcher: {launcher} needs {", ".join(missing)} in the environment; '
            f'start the command with {program}'
        )


def start_processes(cfg: Config) -> None:
    """Start the process group of a config's launcher as its runner would, but also on a CPU.

    Args:
        cfg (Config): The config. Nothing is done without a launcher or if there is a process group.
    """
    launcher = cfg.get('launcher', 'none')
    if launcher == 'none' or is_distributed():
        return
    set_environment(cfg)
    dist_cfg = _dist_cfg(cfg)
    if get_device() != 'cpu':
        init_dist(launcher, **dist_cfg)
        return
    # mmengine starts it only on CUDA devices.
    seconds = dist_cfg.get('timeout')
    timeout = None if seconds is None else datetime.timedelta(seconds=seconds)
    torch.distributed.init_process_group('gloo', timeout=timeout)
    # Left to Python's exit, gloo's threads may abort a process that has done its work.
    atexit.register(_end_processes)


def _end_processes() -> None:
    # A model's wrapper holds the group, too, and is in cycles.
    gc.collect()
    if is_distributed():
        torch.distributed.destroy_process_group()


def count_processes(cfg: Config) -> int:
    """Count the processes of a run, which may not have found each other yet.

    Args:
        cfg (Config): The config.

    Returns:
        int: Their number by the process group, or by the environment; 1 if neither says it.
    """
    if is_distributed():
        return get_world_size()
    launcher = cfg.get('launcher', 'none')
    number = os.environ.get(LAUNCHERS[launcher][1][2], '') if launcher in LAUNCHERS else ''
    return int(number) if number.isdecimal() else 1


def _dist_cfg(cfg: Config) -> dict[str, Any]:
    return cfg.get('env_cfg', {}).get('dist_cfg', {})


def set_environment(cfg: Config) -> None:
    """Set torch's variables from those of a config's launcher, as mmengine does on CUDA devices.

    Args:
        cfg (Config): The config, which has a launcher.

    Raises:
        ValueError: See ``check_launcher``.
    """
    launcher = cfg.launcher
    check_launcher(launcher)
    if launcher == 'pytorch':
        return
    rank, local_rank, world_size = LAUNCHERS[launcher][1][:3]
    os.environ['RANK'] = os.environ[rank]
    os.environ['LOCAL_RANK'] = os.environ[local_rank]
    os.environ['WORLD_SIZE'] = os.environ[world_size]
    port = 29500  # mmengine's
    if launcher == 'slurm':
        if 'MASTER_ADDR' not in os.environ:
            os.environ['MASTER_ADDR'] = _first_host(os.environ['SLURM_STEP_NODELIST'])
        # Several jobs may share a node.
        step = 1009 * int(os.environ['SLURM_STEP_ID'])
        port = 20000 + (int(os.environ['SLURM_JOB_ID']) + step) % 10000
    port = _dist_cfg(cfg).get('port', os.environ.get('MASTER_PORT', port))
    os.environ['MASTER_PORT'] = str(port)


def _first_host(nodes: str) -> str:
    command = ['scontrol', 'show', 'hostnames', nodes]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout.split()[0]
