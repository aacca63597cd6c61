"""Training: preparing and checking the config, and the run."""

from typing import Any

from mmengine.config import Config
from mmengine.device import get_device
from mmengine.runner import Runner
from torch import nn

from ..datasets.checks import check_data
from ..utils.configs import nested_configs, type_name
from ..utils.log import log_info, log_warning
from .batch_norm import explain_single_values
from .check_loading_hook import CheckLoadingHook, unwrapped
from .config import check_checkpoint, in_scope
from .loading import watch_pretrained
from .monitored_metrics import MonitoredMetricsHook, set_rules
from .random_state_hook import RandomStateHook
from .resume import checkpoint_folder, find_resumable, resumed_seed
from .run import build_runner, explain_building, read_run_config
from .run_record_hook import RunRecordHook
from .settings import check_settings
from .zero_loss_hook import ZeroLossHook


def prepare_training(
    config: str,
    work_dir: str | None = None,
    resume: str | None = None,
    amp: bool = False,
    auto_scale_lr: bool = False,
    cfg_options: dict | None = None,
    data_root: str | None = None,
    launcher: str = 'none',
    allow_partial: bool = False,
) -> Config:
    """Read a config for training and check it.

    Args:
        config (str): The config file.
        work_dir (str, optional): Where logs and checkpoints go. Defaults to the config's own, or
            to ``./work_dirs/<name of the config>``.
        resume (str, optional): The checkpoint to continue from, or 'auto' for the latest in the
            work directory, if any. Defaults to None.
        amp (bool): Whether to train with automatic mixed precision. Defaults to False.
        auto_scale_lr (bool): Whether to scale the learning rate to the batch size.
            Defaults to False.
        cfg_options (dict, optional): Settings to override, with dotted keys. Defaults to None.
        data_root (str, optional): Folder of the data in place of the config's, see
            ``read_config``. Defaults to None.
        launcher (str): The job launcher: 'none', 'pytorch', 'slurm' or 'mpi'.
            Defaults to 'none'.
        allow_partial (bool): Whether to resume with what fits of a checkpoint that does not fit the
            model, and warn. Defaults to False.

    Returns:
        Config: The config.

    Raises:
        OSError: If the config or a checkpoint is missing, or ``work_dir`` cannot be written to.
        ValueError: If an argument does not suit the config or this machine, files of a dataset are
            missing or wrong, or a checkpoint is damaged.
    """
    cfg = read_run_config(config, work_dir, cfg_options, launcher, data_root)
    if cfg.get('train_dataloader') is None:
        raise ValueError(f'config: {config} has no train_dataloader')
    if amp:
        _check_accelerator()
        use_amp(cfg)
    if auto_scale_lr:
        _use_auto_scale_lr(cfg)
    with in_scope(cfg):
        check_data(cfg, ('train', 'val'))
        check_settings(cfg, ('train', 'val'))
    _check_pretrained(cfg.model, 'model')
    set_rules(cfg)
    _set_resume(cfg, resume)
    cfg.pop('allow_partial', None)
    if allow_partial:
        cfg.allow_partial = True
    return cfg


def run_training(cfg: Config, local_rank: int = 0) -> nn.Module:
    """Train; see ``build_trainer``.

    Args:
        cfg (Config): The config, from ``prepare_training``.
        local_rank (int): See ``build_runner``. Defaults to 0.

    Returns:
        nn.Module: The trained model.

    Raises:
        CheckpointError: If a checkpoint cannot be loaded, does not fit the model (``resume``), or
            has no weight of it.
        ConfigError: If the optimizer or another part cannot be built, or a metric does not exist.
    """
    trainer = build_trainer(cfg, local_rank)
    with explain_single_values(cfg), explain_building(trainer, cfg):
        return trainer.train()


def build_trainer(cfg: Config, local_rank: int = 0) -> Runner:
    """Build a runner that keeps the random states in its checkpoints, and checks what it loads.

    Args:
        cfg (Config): The config, from ``prepare_training``.
        local_rank (int): See ``build_runner``. Defaults to 0.

    Returns:
        Runner: The runner.
    """
    runner = build_runner(cfg, local_rank)
    if not any(isinstance(hook, RandomStateHook) for hook in runner.hooks):
        runner.register_hook(RandomStateHook())
    runner.register_hook(RunRecordHook())
    runner.register_hook(MonitoredMetricsHook(cfg))
    if isinstance(runner.model, nn.Module):  # FlexibleRunner builds it later
        watch_pretrained(unwrapped(runner.model))
    argument = 'resume' if cfg.get('resume') else 'load_from'
    runner.register_hook(ZeroLossHook())
    runner.register_hook(CheckLoadingHook(argument, cfg.get('allow_partial', False)))
    return runner


def _check_accelerator() -> None:
    if get_device() in ('cpu', 'mps'):
        raise ValueError(
            f'amp needs an accelerator (cuda, npu, mlu or musa), this machine has {get_device()};'
            ' train without `amp`'
        )


def use_amp(cfg: Config) -> None:
    """Let a config train with automatic mixed precision, on whatever machine.

    Args:
        cfg (Config): The config.

    Raises:
        ValueError: If its ``optim_wrapper`` is of another type.
    """
    kind = type_name(cfg.optim_wrapper.get('type', 'OptimWrapper'))
    if kind not in ('OptimWrapper', 'AmpOptimWrapper'):
        raise ValueError(f'amp needs optim_wrapper.type OptimWrapper, the config has {kind}')
    cfg.optim_wrapper.type = 'AmpOptimWrapper'
    cfg.optim_wrapper.setdefault('loss_scale', 'dynamic')


def _use_auto_scale_lr(cfg: Config) -> None:
    if 'base_batch_size' not in cfg.get('auto_scale_lr', {}):
        raise ValueError(
            'auto_scale_lr needs auto_scale_lr = dict(base_batch_size=...) in the config'
        )
    cfg.auto_scale_lr.enable = True


def _check_pretrained(model: Any, name: str) -> None:
    """Check the local files named by ``init_cfg`` and ``pretrained`` in a model's config."""
    for key, nested in nested_configs(model, name):
        is_pretrained = type_name(nested.get('type')) in ('Pretrained', 'PretrainedInit')
        if is_pretrained and isinstance(nested.get('checkpoint'), str):
            check_checkpoint(nested['checkpoint'], f'{key}.checkpoint')
        if isinstance(nested.get('pretrained'), str):
            check_checkpoint(nested['pretrained'], f'{key}.pretrained')


def _set_resume(cfg: Config, resume: str | None) -> None:
    """Set the checkpoint to resume from and its seed.

    mmengine also takes the seed from the checkpoint, but only after building the samplers.
    """
    if resume is None and cfg.get('resume'):
        named = cfg.resume if isinstance(cfg.resume, str) else cfg.get('load_from')
        resume = named or 'auto'
    folder = checkpoint_folder(cfg)
    checkpoint = find_resumable(cfg.work_dir, folder) if resume == 'auto' else resume
    cfg.resume = checkpoint is not None
    if checkpoint is None:
        if resume == 'auto':
            log_info(f'Nothing to resume in {folder}: training starts')
        if cfg.get('load_from'):
            check_checkpoint(cfg.load_from, 'load_from')
        return

    cfg.load_from = checkpoint
    if '://' in checkpoint:
        return
    seed = resumed_seed(checkpoint, 'resume')
    if seed is None:
        return
    own_seed = cfg.get('randomness', {}).get('seed')
    if own_seed not in (None, seed):
        log_warning(f'randomness.seed {own_seed} gives way to {seed}, the seed of the resumed run')
    cfg.merge_from_dict({'randomness.seed': seed})
