"""What the configs of training and testing have in common."""

import os
from typing import Any

from mmengine.config import Config
from mmengine.registry import init_default_scope

from ..upsamplers.build import check_upsample_cfg
from ..utils.nested_configs import nested_configs
from .checkpoint import read_checkpoint


def load_config(
    config: str, work_dir: str | None, cfg_options: dict | None, launcher: str, local_rank: int
) -> Config:
    """Load a config file and apply the settings of the command line.

    Args:
        config (str): The config file.
        work_dir (str, optional): Where logs and results go. None means the config's own
            ``work_dir``, or ``./work_dirs/<name of the config>`` if it has none.
        cfg_options (dict, optional): Settings to override, with dotted keys.
        launcher (str): The job launcher: 'none', 'pytorch', 'slurm' or 'mpi'.
        local_rank (int): The rank on this machine, for launchers that tell it by argument only.

    Returns:
        Config: The config.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If it is no config of a model, or an override does not fit.
    """
    if not os.path.isfile(config):
        raise FileNotFoundError(f'config: {config} is not a file')
    os.environ.setdefault('LOCAL_RANK', str(local_rank))

    try:
        cfg = Config.fromfile(config)
    except Exception as error:
        # A config is Python: it may raise anything.
        raise ValueError(
            f'config: {config} cannot be read: {type(error).__name__}: {error}'
        ) from error
    if 'model' not in cfg:
        raise ValueError(f'config: {config} has no model')
    if cfg_options:
        try:
            cfg.merge_from_dict(cfg_options)
        except (KeyError, TypeError, IndexError) as error:
            raise ValueError(f'`cfg_options` do not fit {config}: {error}') from error
    cfg.launcher = launcher
    if work_dir is not None:
        cfg.work_dir = work_dir
    elif cfg.get('work_dir') is None:
        name = os.path.splitext(os.path.basename(config))[0]
        cfg.work_dir = os.path.join('work_dirs', name)

    init_default_scope(cfg.get('default_scope', 'mmengine'))
    return cfg


def check_upsamplers(model: Any, name: str) -> None:
    """Check the ``upsample_cfg`` of our heads and necks in a model's config.

    Args:
        model (Any): The config of the model or a part of it.
        name (str): The key of this config, for the error message.

    Raises:
        TypeError: If an upsample_cfg is no dict.
        ValueError: If its type or an option is unknown.
    """
    for key, part in nested_configs(model, name):
        if 'upsample_cfg' in part and str(part.get('type')).startswith('Upsample'):
            check_upsample_cfg(part['upsample_cfg'], f'{key}.upsample_cfg')


def check_checkpoint(path: str, name: str) -> None:
    """Check that a checkpoint loads, before other work is done. Addresses are not looked up.

    Args:
        path (str): A path or an address, such as ``https://...`` or ``torchvision://...``.
        name (str): The argument or config key that it came from, for the error message.

    Raises:
        FileNotFoundError: If there is no such file.
        CheckpointError: If it cannot be loaded.
    """
    if '://' not in path:
        read_checkpoint(path, name=name, mmap=True)
