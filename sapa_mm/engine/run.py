"""Starting a run: its config, processes and runner."""

import os
from typing import Any

import torch.distributed
from mmengine.config import Config
from mmengine.device import get_device
from mmengine.dist import init_dist, is_distributed
from mmengine.registry import RUNNERS, init_default_scope
from mmengine.runner import Runner

from ..utils.files import check_writable
from .config import ConfigError, describe_failure, read_config
from .finite_scores_hook import FiniteScoresHook


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
        ValueError: See ``read_config``.
    """
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
    warned of.

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
    if cfg.get('launcher') == 'pytorch' and get_device() == 'cpu':
        start_processes(cfg)
        _set_cpu_wrapper(cfg)
    init_default_scope(cfg.get('default_scope') or 'mmengine')
    try:
        runner = RUNNERS.build(cfg) if 'runner_type' in cfg else Runner.from_cfg(cfg)
    except Exception as error:
        raise ConfigError(f'config: {cfg.filename}: {describe_failure(error, cfg)}') from error
    runner.register_hook(FiniteScoresHook())
    return runner


def start_processes(cfg: Config) -> None:
    """Start the process group of a config's launcher as its runner would, but also on a CPU.

    Args:
        cfg (Config): The config. Nothing is done without a launcher or if there is a process group.
    """
    launcher = cfg.get('launcher', 'none')
    if launcher == 'none' or is_distributed():
        return
    if launcher == 'pytorch' and get_device() == 'cpu':
        # mmengine starts it only on CUDA devices.
        torch.distributed.init_process_group('gloo')
    else:
        init_dist(launcher, **cfg.get('env_cfg', {}).get('dist_cfg', {}))


def _set_cpu_wrapper(cfg: Config) -> None:
    """Set the wrapper that mmengine uses only on CUDA devices."""
    wrapper = {
        'type': 'MMDistributedDataParallel',
        'device_ids': None,
        'broadcast_buffers': False,
        'find_unused_parameters': cfg.get('find_unused_parameters', False),
    }
    cfg.setdefault('model_wrapper_cfg', wrapper)
