"""Comparing the training state in a checkpoint with the run that resumes it."""

import math
import os
import re
from collections.abc import Iterator, Mapping
from contextlib import suppress
from typing import Any

from mmengine.hooks import EMAHook
from mmengine.optim import OptimWrapperDict
from mmengine.runner import EpochBasedTrainLoop, Runner

from ..utils.config_text import parse_config
from ..utils.log import log_warning
from ..utils.text import first_of, one_line
from .checkpoint import CheckpointError
from .compare_settings import compare_settings
from .resume import checkpoint_folder
from .run_record_hook import plain, run_sizes

# Settings that a resumed run takes from states in the checkpoint, whatever its config says.
_RESTORED = {
    'optimizer': ('optim_wrapper.optimizer', 'optim_wrapper.paramwise_cfg'),
    'param_schedulers': ('param_scheduler',),
}
_BATCH = ('train_dataloader.batch_size', 'optim_wrapper.accumulative_counts')


def check_training_state(
    runner: Runner, checkpoint: dict, label: str, allow_partial: bool = False
) -> None:
    """Check the training state that a run resumes, before mmengine loads it.

    Args:
        runner (Runner): The runner.
        checkpoint (dict): The checkpoint. Parts that do not fit are taken out if ``allow_partial``,
            and the files of another folder that it knows are forgotten.
        label (str): What messages call the checkpoint: the argument and the file.
        allow_partial (bool): Whether the optimizer and the schedules start afresh where their
            states do not fit. Defaults to False.

    Raises:
        CheckpointError: If the state of the optimizer or of the schedules does not fit.
    """
    trained = _settings_in_training(checkpoint)
    for key, what, problem in (
        ('optimizer', 'optimizer', _optimizer_problem(runner, checkpoint, trained)),
        ('param_schedulers', 'schedule', _scheduler_problem(runner, checkpoint)),
    ):
        if problem is None:
            continue
        if not allow_partial:
            raise CheckpointError(
                f'{label}: the state of its {what} does not fit the config: {problem}; give the '
                'config and `cfg_options` that it was trained with, or `allow_partial` to start '
                f'the {what} afresh'
            )
        del checkpoint[key]
        log_warning(f'{label}: {problem}; the {what} starts afresh')
    _note_other_settings(runner, checkpoint, trained, label)
    _use_own_files(checkpoint, checkpoint_folder(runner.cfg))
    _use_equal_metainfo(runner, checkpoint)


def _settings_in_training(checkpoint: dict) -> dict[str, Any]:
    """The settings of the training by dotted key, as far as they can be read."""
    settings: dict[str, Any] = {}
    for key in ('train_dataloader', 'optim_wrapper', 'param_scheduler'):
        with suppress(ValueError):
            settings |= parse_config(str(checkpoint['meta'].get('cfg')), keys=(key,))
    return settings


def _get(settings: Any, key: str) -> Any:
    for part in key.split('.'):
        settings = settings.get(part) if isinstance(settings, Mapping) else None
    return settings


def _optimizer_problem(runner: Runner, checkpoint: dict, trained: dict) -> str | None:
    """What does not fit in the state of the optimizer; torch would say so in the first step."""
    if 'optimizer' not in checkpoint:
        return None
    key = 'optim_wrapper.optimizer.type'
    for difference in compare_settings(_get(trained, key), _get(runner.cfg.to_dict(), key), key):
        if difference.trained is not None:
            return str(difference)
    runner.optim_wrapper = wrapper = runner.build_optim_wrapper(runner.optim_wrapper)
    own = wrapper.state_dict()
    try:
        wrapper.load_state_dict(_shallow_copy(checkpoint['optimizer']))
        return _misfit(wrapper)
    except Exception as error:  # torch and mmengine raise anything, up to AssertionError
        return one_line(error)
    finally:
        wrapper.load_state_dict(_shallow_copy(own))


def _shallow_copy(state: dict) -> dict:
    """Copy a state, from which loading takes entries out, but not its tensors."""
    return {key: {**part} if isinstance(part, dict) else part for key, part in state.items()}


def _misfit(wrapper: Any) -> str | None:
    """What would fail in the first step after loading."""
    for one in wrapper.values() if isinstance(wrapper, OptimWrapperDict) else [wrapper]:
        optimizer = getattr(one, 'optimizer', one)
        for group in optimizer.param_groups:
            if lacking := optimizer.defaults.keys() - group.keys():
                return f'{type(optimizer).__name__} needs {first_of(sorted(lacking))}'
        for weight, values in optimizer.state.items():
            for name, value in values.items():
                if getattr(value, 'ndim', 0) == weight.ndim > 0 and value.shape != weight.shape:
                    return f'{name} {list(value.shape)} of a weight {list(weight.shape)}'
    return None


def _scheduler_problem(runner: Runner, checkpoint: dict) -> str | None:
    saved = checkpoint.get('param_schedulers')
    if saved is None or runner.param_schedulers is None:
        return None
    runner.param_schedulers = own = runner.build_param_scheduler(runner.param_schedulers)
    pairs = [(saved, own)]
    if isinstance(saved, dict) and isinstance(own, dict) and saved.keys() == own.keys():
        pairs = [(saved[name], own[name]) for name in own]
    for theirs, ours in pairs:
        if not isinstance(theirs, list) or not isinstance(ours, list) or len(theirs) != len(ours):
            return f'it has {len(theirs)} in param_scheduler, the config {len(ours)}'
        for state, scheduler in zip(theirs, ours, strict=True):
            if lacking := scheduler.state_dict().keys() - state.keys():
                return f'{type(scheduler).__name__} needs {first_of(sorted(lacking))}'
    return None


def _note_other_settings(runner: Runner, checkpoint: dict, trained: dict, label: str) -> None:
    """Warn of settings that make the run another one, or that have no effect in a resumed run."""

    def compare(keys) -> Iterator[str]:
        for key in keys:
            if key.partition('.')[0] in trained:
                before, now = _get(trained, key), _get(runner.cfg.to_dict(), key)
                yield from map(str, compare_settings(before, now, key, re.compile('_scope_')))

    sizes = [
        f'the number of {name.replace("_", " ")} is {now}, but was {checkpoint["meta"][name]}'
        for name, now in run_sizes(runner).items()
        if checkpoint['meta'].get(name, now) != now
    ]
    if other := [*compare(_BATCH), *sizes]:
        log_warning(f'{label}: {"; ".join(other)}')
    if 'ema_state_dict' in checkpoint and not any(isinstance(h, EMAHook) for h in runner.hooks):
        log_warning(f'{label}: training goes on from averaged weights: custom_hooks has no EMAHook')
    unit = 'epoch' if isinstance(runner.train_loop, EpochBasedTrainLoop) else 'iter'
    done, end = checkpoint['meta'][unit], getattr(runner.train_loop, f'max_{unit}s', math.inf)
    if done >= end:
        log_warning(f'{label}: nothing is left to train: it has {unit} {done} of {end}')
    restored = [key for state, keys in _RESTORED.items() if state in checkpoint for key in keys]
    if other := list(compare(restored)):
        log_warning(f'{label}: {first_of(other)}; a resumed run keeps what it was')


def _use_own_files(checkpoint: dict, folder: str) -> None:
    """Forget the best checkpoints of another folder: mmengine removes them for a better one."""
    hub = checkpoint['message_hub']
    known = hub.get('runtime_info', {})
    for key in [key for key in known if key.startswith('best_ckpt')]:
        own = os.path.join(folder, os.path.basename(str(known[key])))
        if os.path.exists(own):
            known[key] = own
        else:
            del known[key]
            hub.get('resumed_keys', {}).pop(key, None)


def _use_equal_metainfo(runner: Runner, checkpoint: dict) -> None:
    """Spare mmengine's warning of another metainfo where it only pickles in another way."""
    own = getattr(runner.train_loop.dataloader.dataset, 'metainfo', None)
    if repr(plain(own)) == repr(plain(checkpoint['meta'].get('dataset_meta'))):
        checkpoint['meta']['dataset_meta'] = own
