"""Starting a run: its config, processes and runner."""

import atexit
import datetime
import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch.distributed
from mmengine.config import Config
from mmengine.device import get_device
from mmengine.dist import init_dist, is_distributed
from mmengine.hooks import Hook
from mmengine.registry import RUNNERS, init_default_scope
from mmengine.runner import Runner

from ..utils.files import check_writable
from .config import ConfigError, describe_failure, read_config
from .cpu_wrapper import CPUDistributedDataParallel
from .finite_scores_hook import FiniteScoresHook
from .settings import idle_worker_options

#: What starts the processes of each launcher, and the variables that it tells them: their rank,
#: their rank on the node and their number come first.
_LAUNCHERS = {
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


def read_run_config(
    path: str,
    work_dir: str | None,
    options: dict[str, Any] | None,
    launcher: str,
    data_root: str | None = None,
) -> Config:
    """Read a config for training or testing, and set its work directory and launcher.

    Args:
        path (str): The config file.
        work_dir (str, optional): Where logs and results go. None means the config's own
            ``work_dir``, or ``./work_dirs/<name of the config>`` if it has none.
        options (dict, optional): Settings to override, with dotted keys.
        launcher (str): The job launcher: 'none', 'pytorch', 'slurm' or 'mpi'.
        data_root (str, optional): Folder of the data in place of the config's. Defaults to None.

    Returns:
        Config: The config.

    Raises:
        OSError: If there is no config file, no folder ``data_root``, or ``work_dir`` cannot be
            written to.
        ValueError: See ``read_config`` and ``check_launcher``.
    """
    check_launcher(launcher)
    cfg = read_config(path, options, data_root)
    cfg.launcher = launcher
    if work_dir is not None:
        cfg.work_dir = work_dir
    elif cfg.get('work_dir') is None:
        name = os.path.splitext(os.path.basename(path))[0]
        cfg.work_dir = os.path.join('work_dirs', name)
    check_writable(cfg.work_dir, 'work_dir', is_folder=True)
    return cfg


def build_runner(cfg: Config, local_rank: int = 0) -> Runner:
    """Build the runner of a config, of the type that the config asks for.

    The default scope of the process becomes that of the config. Scores that are not numbers are
    warned of. Options for worker processes are dropped from dataloaders that have none.

    Args:
        cfg (Config): The config.
        local_rank (int): The rank on this machine, for launchers that do not set the environment
            variable ``LOCAL_RANK``. Defaults to 0.

    Returns:
        Runner: The runner.

    Raises:
        ConfigError: If the model or another part cannot be built.
    """
    os.environ.setdefault('LOCAL_RANK', str(local_rank))
    if cfg.get('launcher', 'none') != 'none':
        _set_environment(cfg)
        if get_device() == 'cpu':
            start_processes(cfg)
            _set_cpu_wrapper(cfg)
    init_default_scope(cfg.get('default_scope') or 'mmengine')
    for dataloader, option in list(idle_worker_options(cfg)):
        cfg[dataloader].pop(option)
    try:
        runner = RUNNERS.build(cfg) if 'runner_type' in cfg else Runner.from_cfg(cfg)
    except Exception as error:
        raise ConfigError(f'config: {cfg.filename}: {describe_failure(error, cfg)}') from error
    runner.register_hook(FiniteScoresHook())
    return runner


class _BuiltHook(Hook):
    """Tells whether a runner has built all its parts, optimizer and schedules the last."""

    is_built = False

    def before_run(self, runner) -> None:
        self.is_built = True


@contextmanager
def explain_building(runner: Runner, cfg: Config) -> Iterator[None]:
    """Turn any error before the first iteration into a line on the config.

    A runner builds datasets, loops, optimizer and schedules when it starts.

    Args:
        runner (Runner): The runner, which is started in the ``with`` block.
        cfg (Config): Its config.

    Raises:
        ConfigError: In place of another error, until all parts are built.
    """
    built = _BuiltHook()
    runner.register_hook(built, 'HIGHEST')
    try:
        yield
    except Exception as error:
        if built.is_built or isinstance(error, ConfigError):
            raise
        raise ConfigError(f'config: {cfg.filename}: {describe_failure(error, cfg)}') from error


def start_processes(cfg: Config) -> None:
    """Start the process group of a config's launcher as its runner would, but also on a CPU.

    Args:
        cfg (Config): The config. Nothing is done without a launcher or if there is a process group.
    """
    launcher = cfg.get('launcher', 'none')
    if launcher == 'none' or is_distributed():
        return
    _set_environment(cfg)
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
    if is_distributed():
        torch.distributed.destroy_process_group()


def check_launcher(launcher: str) -> None:
    """Check that this process was started by the program that its launcher stands for.

    Args:
        launcher (str): The job launcher: 'none', 'pytorch', 'slurm' or 'mpi'.

    Raises:
        ValueError: If there is no such launcher, or the environment lacks its variables.
    """
    if launcher == 'none':
        return
    if launcher not in _LAUNCHERS:
        allowed = ', '.join(['none', *_LAUNCHERS])
        raise ValueError(f'launcher must be one of {allowed}, got {launcher!r}')
    program, variables = _LAUNCHERS[launcher]
    missing = [name for name in variables if name not in os.environ]
    if missing:
        raise ValueError(
            f'launcher: {launcher} needs {", ".join(missing)} in the environment; '
            f'start the command with {program}'
        )


def _dist_cfg(cfg: Config) -> dict[str, Any]:
    return cfg.get('env_cfg', {}).get('dist_cfg', {})


def _set_environment(cfg: Config) -> None:
    """Set torch's variables from the launcher's, as mmengine does on CUDA devices."""
    launcher = cfg.launcher
    check_launcher(launcher)
    if launcher == 'pytorch':
        return
    rank, local_rank, world_size = _LAUNCHERS[launcher][1][:3]
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


def _set_cpu_wrapper(cfg: Config) -> None:
    """Set up the wrapper that mmengine uses, which it does on CUDA devices only."""
    own = cfg.get('model_wrapper_cfg') or {
        'broadcast_buffers': False,
        'find_unused_parameters': cfg.get('find_unused_parameters', False),
    }
    ours = CPUDistributedDataParallel.__name__
    if own.get('type', ours) in (ours, 'MMDistributedDataParallel'):
        cfg.model_wrapper_cfg = {**own, 'type': ours, 'device_ids': None}
