"""What a checkpoint says of its run."""

import inspect
import os
from collections.abc import Mapping
from typing import Any

import numpy as np
from mmengine.dist import get_world_size
from mmengine.hooks import Hook


class RunRecordHook(Hook):
    """Keep in every checkpoint, as plain data, what a resumed run is to be compared with.

    The metainfo of a dataset may hold mmengine's nested settings, classes or arrays of texts, for
    which ``torch.load`` must run code; the checkpoint gets dicts, lists and names. Beside them come
    the number of processes and the size of the training set.
    """

    def before_save_checkpoint(self, runner, checkpoint: dict) -> None:
        """Put plain data into the checkpoint.

        Args:
            runner (Runner): The runner.
            checkpoint (dict): The checkpoint, before it is saved.
        """
        meta = checkpoint.setdefault('meta', {})
        meta.update(run_sizes(runner))
        for holder in (meta, checkpoint.get('message_hub', {}).get('runtime_info', {})):
            if 'dataset_meta' in holder:
                holder['dataset_meta'] = plain(holder['dataset_meta'])


def run_sizes(runner) -> dict[str, int]:
    """The numbers that turn a batch size into epochs.

    Args:
        runner (Runner): The runner, with its training loop.

    Returns:
        dict[str, int]: ``processes`` and, if it is known, ``training_samples``.
    """
    sizes = {'processes': get_world_size()}
    dataset: Any = getattr(runner.train_loop.dataloader, 'dataset', None)
    if hasattr(dataset, '__len__'):
        sizes['training_samples'] = len(dataset)
    return sizes


def plain(value: Any) -> Any:
    """Copy settings as data that loads without running code.

    Args:
        value (Any): Settings: nested dicts, lists and values.

    Returns:
        Any: The same as dicts, lists, tuples, texts, numbers and arrays of numbers. Classes and
        functions become their dotted names; what is none of these stays as it is.
    """
    if isinstance(value, Mapping):
        return {plain(key): plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        items = map(plain, value)
        return tuple(items) if isinstance(value, tuple) else list(items)
    if isinstance(value, np.ndarray) and value.dtype.kind not in 'biufc':
        return plain(value.tolist())
    if isinstance(value, (str, os.PathLike)):
        return str(value)  # numpy has a type of its own
    if inspect.isclass(value) or inspect.isroutine(value):
        return f'{value.__module__}.{value.__qualname__}'
    return value
