"""Random states in checkpoints: a resumed run ends with an uninterrupted one's weights."""

import random
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from mmengine.dist import is_main_process
from mmengine.hooks import Hook
from mmengine.registry import HOOKS
from mmengine.runner import set_random_seed
from torch.utils.data import DataLoader


def get_random_state() -> dict:
    """Get the states of all global random number generators.

    Returns:
        dict: States of ``random``, ``numpy.random``, torch on the CPU and on the current CUDA
        device, if any. They consist of numbers and tensors, so that a checkpoint with them
        loads with ``weights_only=True``.
    """
    # The transforms of mmcv, mmseg and mmdet draw from numpy's global state.
    kind, keys, *rest = np.random.get_state()  # noqa: NPY002
    state = {
        'python': random.getstate(),
        'numpy': (kind, np.asarray(keys).tolist(), *rest),
        'torch': torch.get_rng_state(),
    }
    if torch.cuda.is_available():
        state['cuda'] = torch.cuda.get_rng_state()
    return state


def set_random_state(state: dict) -> None:
    """Set the states of all global random number generators.

    Args:
        state (dict): A result of ``get_random_state``.
    """
    random.setstate(state['python'])
    np.random.set_state(state['numpy'])  # noqa: NPY002
    # A runner loads checkpoints to its device; torch takes states on the CPU.
    torch.set_rng_state(state['torch'].cpu())
    if 'cuda' in state and torch.cuda.is_available():
        torch.cuda.set_rng_state(state['cuda'].cpu())


@HOOKS.register_module()
class RandomStateHook(Hook):
    """Keep the random states in every checkpoint and continue from them on resume.

    A run that is killed and resumed then ends with the same weights as an uninterrupted one, given
    the same seed, no loader workers (``num_workers=0``) and deterministic operators.

    Validation does not advance the training's random states, so its interval does not affect the
    result.

    In a distributed run only rank 0 saves checkpoints, so only its states continue; the other
    ranks restart from their seeds.

    Args:
        reseed (bool): Whether a training that starts does so from the seed's states, whatever
            building the model drew: models of other parts then see the same batches.
            Defaults to False.
    """

    # Last in every stage, so that no other hook draws from a restored state.
    priority = 'LOWEST'

    def __init__(self, reseed: bool = False) -> None:
        self._reseed = reseed
        self._loaded: dict | None = None
        self._before_val: dict = {}

    def before_save_checkpoint(self, runner, checkpoint: dict) -> None:
        """Put the random states into the checkpoint.

        Args:
            runner (Runner): The runner.
            checkpoint (dict): The checkpoint, before it is saved.
        """
        # The best checkpoint is saved, and the last one again, during validation.
        checkpoint['random_state'] = self._before_val or get_random_state()

    def after_load_checkpoint(self, runner, checkpoint: dict) -> None:
        """Take the random states out of the checkpoint.

        Args:
            runner (Runner): The runner.
            checkpoint (dict): The checkpoint.
        """
        self._loaded = checkpoint.get('random_state')

    def before_train(self, runner) -> None:
        """Reseed, or schedule restoring the states before the first batch of a resumed run.

        Args:
            runner (Runner): The runner.
        """
        loop = runner.train_loop
        loader = loop.dataloader
        if isinstance(loader, DataLoader) and loader.generator is None:
            # Without one, the loader's iterator draws from the global state when it is created,
            # which a resumed run does at another point than an uninterrupted one.
            loader.generator = torch.Generator().manual_seed(torch.initial_seed())

        state, self._loaded = self._loaded, None
        if runner.iter == 0 and self._reseed:
            of_ranks = runner.cfg.get('randomness', {}).get('diff_rank_seed', False)
            set_random_seed(runner.seed, diff_rank_seed=of_ranks)
        if runner.iter == 0 or not is_main_process():  # only weights were loaded
            return
        if state is None:
            runner.logger.warning(
                'The checkpoint has no random states (it was saved without RandomStateHook): '
                'this run will differ from an uninterrupted one.'
            )
        elif hasattr(loop, 'dataloader_iterator'):
            loop.dataloader_iterator = _ResumedIterator(loop, lambda: set_random_state(state))
        else:
            self._loaded = state

    def before_train_epoch(self, runner) -> None:
        """Restore the states before the first epoch of a resumed, epoch-based run.

        Args:
            runner (Runner): The runner.
        """
        if self._loaded is not None:
            set_random_state(self._loaded)
            self._loaded = None

    def before_val(self, runner) -> None:
        """Save the states of the training.

        Args:
            runner (Runner): The runner.
        """
        self._before_val = get_random_state()

    def after_val(self, runner) -> None:
        """Restore the states of the training.

        Args:
            runner (Runner): The runner.
        """
        set_random_state(self._before_val)
        self._before_val = {}


class _ResumedIterator:
    """Stand in for an iteration-based loop's iterator until the first batch that is trained on.

    Before that, the loop skips the batches of the interrupted run: upstream's loads them, which
    draws random numbers; OneDL's calls ``skip_iter`` or, with ``fast_forward_on_resume``, does
    nothing. No hook runs between the skipping and the first batch.

    Args:
        loop (IterBasedTrainLoop): The loop, whose ``dataloader_iterator`` this one replaces until
            the first batch.
        restore (Callable): Called before the first batch is loaded.
    """

    def __init__(self, loop, restore: Callable[[], None]) -> None:
        self._loop = loop
        self._iterator = loop.dataloader_iterator
        self._restore = restore
        self._to_skip = 0 if getattr(loop, 'fast_forward_on_resume', False) else loop.iter

    def __iter__(self):
        return self

    def __next__(self) -> Any:
        if self._to_skip > 0:
            self._to_skip -= 1
        else:
            self._restore()
            self._loop.dataloader_iterator = self._iterator
        return next(self._iterator)

    def skip_iter(self, num_iters: int) -> None:
        """Skip batches the way OneDL's iterator does.

        Args:
            num_iters (int): Number of batches.
        """
        self._to_skip -= num_iters
        self._iterator.skip_iter(num_iters)
