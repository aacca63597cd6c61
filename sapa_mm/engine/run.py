"""Run what a config says."""

import torch.distributed
from mmengine.config import Config
from mmengine.device import get_device
from mmengine.dist import init_dist, is_distributed
from mmengine.registry import RUNNERS
from mmengine.runner import Runner
from torch import nn

from .random_state_hook import RandomStateHook


def build_runner(cfg: Config) -> Runner:
    """Build the runner of a config, whichever of mmengine's it asks for.

    Args:
        cfg (Config): The config.

    Returns:
        Runner: The runner.
    """
    if cfg.get('launcher') == 'pytorch' and get_device() == 'cpu':
        start_processes(cfg)
        _set_cpu_wrapper(cfg)
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


def build_trainer(cfg: Config) -> Runner:
    """Build a runner whose checkpoints keep the random states, even where the config is silent.

    Args:
        cfg (Config): The config, from :func:`~sapa_mm.engine.training.prepare_training`.

    Returns:
        Runner: The runner.
    """
    runner = build_runner(cfg)
    if not any(isinstance(hook, RandomStateHook) for hook in runner.hooks):
        runner.register_hook(RandomStateHook())
    return runner


def run_training(cfg: Config) -> nn.Module:
    """Train; see :func:`build_trainer`.

    Args:
        cfg (Config): The config, from :func:`~sapa_mm.engine.training.prepare_training`.

    Returns:
        nn.Module: The trained model.

    Raises:
        CheckpointError: If a checkpoint cannot be loaded.
    """
    return build_trainer(cfg).train()


def run_testing(cfg: Config) -> dict:
    """Test a checkpoint.

    Args:
        cfg (Config): The config, from :func:`~sapa_mm.engine.testing.prepare_testing`.

    Returns:
        dict: The metrics, which are also logged and written to a JSON file in the work directory.

    Raises:
        CheckpointError: If the checkpoint cannot be loaded.
    """
    return build_runner(cfg).test()
