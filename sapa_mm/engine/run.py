"""Starting a run: its processes and its runner."""

import os

import torch.distributed
from mmengine.config import Config
from mmengine.device import get_device
from mmengine.dist import init_dist, is_distributed
from mmengine.registry import RUNNERS, init_default_scope
from mmengine.runner import Runner


def build_runner(cfg: Config, local_rank: int = 0) -> Runner:
    """Build the runner of a config, whichever of mmengine's it asks for.

    The default scope of the process becomes that of the config.

    Args:
        cfg (Config): The config.
        local_rank (int): The rank on this machine, for launchers that do not set the environment
            variable ``LOCAL_RANK``. Defaults to 0.

    Returns:
        Runner: The runner.
    """
    os.environ.setdefault('LOCAL_RANK', str(local_rank))
    if cfg.get('launcher') == 'pytorch' and get_device() == 'cpu':
        start_processes(cfg)
        _set_cpu_wrapper(cfg)
    init_default_scope(cfg.get('default_scope', 'mmengine'))
    return RUNNERS.build(cfg) if 'runner_type' in cfg else Runner.from_cfg(cfg)


def start_processes(cfg: Config) -> None:
    """Start the process group of a config's launcher, as its runner would, on a CPU too.

    Args:
        cfg (Config): The config. Without a launcher, or with a process group, nothing is done.
    """
    launcher = cfg.get('launcher', 'none')
    if launcher == 'none' or is_distributed():
        return
    if launcher == 'pytorch' and get_device() == 'cpu':
        # mmengine starts one on CUDA devices only.
        torch.distributed.init_process_group('gloo')
    else:
        init_dist(launcher, **cfg.get('env_cfg', {}).get('dist_cfg', {}))


def _set_cpu_wrapper(cfg: Config) -> None:
    """Set the wrapper that mmengine takes on CUDA devices only."""
    wrapper = {
        'type': 'MMDistributedDataParallel',
        'device_ids': None,
        'broadcast_buffers': False,
        'find_unused_parameters': cfg.get('find_unused_parameters', False),
    }
    cfg.setdefault('model_wrapper_cfg', wrapper)
