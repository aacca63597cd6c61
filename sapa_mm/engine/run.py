"""Starting a run: its config and its runner."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from mmengine.config import Config
from mmengine.device import get_device
from mmengine.hooks import Hook
from mmengine.registry import RUNNERS, init_default_scope
from mmengine.runner import Runner

from ..utils.files import check_writable
from .config import ConfigError, describe_failure, read_config
from .cpu_wrapper import use_cpu_wrapper
from .finite_scores_hook import FiniteScoresHook
from .processes import check_launcher, set_environment, start_processes
from .settings import idle_worker_options

#: Hooks that a runner has unless the config sets them to None.
_DEFAULT_HOOKS = (
    'runtime_info',
    'timer',
    'sampler_seed',
    'logger',
    'param_scheduler',
    'checkpoint',
)


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
    warned of. Options for worker processes are dropped from dataloaders that have none, and None
    from ``default_hooks``.

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
        set_environment(cfg)
        if get_device() == 'cpu':
            start_processes(cfg)
            use_cpu_wrapper(cfg)
    init_default_scope(cfg.get('default_scope') or 'mmengine')
    for dataloader, option in list(idle_worker_options(cfg)):
        cfg[dataloader].pop(option)
    hooks = cfg.get('default_hooks') or {}
    for name in [name for name, hook in hooks.items() if hook is None]:
        if name not in _DEFAULT_HOOKS:
            del hooks[name]  # mmengine leaves out those of its own alone
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
