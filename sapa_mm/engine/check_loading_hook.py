"""Checking what a runner loads, before anything is done with it."""

import logging
from typing import Any

from mmengine.hooks import Hook
from mmengine.model import BaseTTAModel, is_model_wrapper
from mmengine.runner import Runner
from torch import nn

from .loading import check_model, load_weights, log_loaded
from .training_state import check_training_state


class CheckLoadingHook(Hook):
    """Refuse a checkpoint that does not fit the model, before testing or further training.

    mmengine loads whatever fits, and only logs what does not. Weights to start training from
    (``load_from``) may fit in part, which is logged; they are refused only if none fits.

    Args:
        argument (str): Where the checkpoint comes from: 'checkpoint', 'resume' or 'load_from'.
        allow_partial (bool): Whether to warn instead of refusing. Defaults to False.
    """

    # Before other hooks use the checkpoint.
    priority = 'VERY_HIGH'

    def __init__(self, argument: str, allow_partial: bool = False) -> None:
        self._argument = argument
        self._allow_partial = allow_partial

    def after_load_checkpoint(self, runner, checkpoint: dict) -> None:
        """Compare the checkpoint with the model.

        Args:
            runner (Runner): The runner, with the model and the dataset.
            checkpoint (dict): The checkpoint, read but not yet loaded into the model.

        Raises:
            CheckpointError: If it does not fit.
        """
        label = f'{self._argument}: {runner._load_from}'
        model = unwrapped(runner.model)
        if self._argument == 'load_from':
            log_loaded(load_weights(model, checkpoint, label), label)
            return
        resumes = self._argument == 'resume'
        loop = runner.train_loop if resumes else runner.test_loop
        dataset = getattr(loop.dataloader, 'dataset', None)
        classes = (getattr(dataset, 'metainfo', None) or {}).get('classes')
        loaded = check_model(model, checkpoint, runner.cfg, classes, label, self._allow_partial)
        if resumes and (loaded.missing or loaded.misfits or loaded.left_over):
            # Its states belong to other parameters.
            checkpoint.pop('optimizer', None)
            runner.logger.log(logging.WARNING, f'{label}: the optimizer starts afresh')
        if resumes and isinstance(runner, Runner):  # FlexibleRunner has strategies of its own
            check_training_state(runner, checkpoint, label, self._allow_partial)


def unwrapped(model: Any) -> nn.Module:
    """The model inside of wrappers, such as that for test time augmentation."""
    while is_model_wrapper(model) or isinstance(model, BaseTTAModel):
        model = model.module
    return model
