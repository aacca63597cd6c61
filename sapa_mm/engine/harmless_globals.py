"""The few globals that mmengine writes into checkpoints, beyond those that torch allows."""

import codecs
import pickle
from collections.abc import Callable

import numpy as np
from mmengine.logging import HistoryBuffer
from mmengine.optim.scheduler.param_scheduler import OneCycleParamScheduler


def _known_as(path: str, function: Callable) -> Callable:
    """Give a function the name under which checkpoints know it."""

    def call(*args):
        return function(*args)

    call.__module__, _, call.__name__ = path.rpartition('.')
    call.__qualname__ = call.__name__
    return call


_METHODS = [
    *((HistoryBuffer, name) for name in ('min', 'max', 'current', 'mean')),
    *((OneCycleParamScheduler, name) for name in ('_annealing_cos', '_annealing_linear')),
]


def _get_method(owner: type, name: str) -> Callable:
    """Take the place of ``getattr``, with which pickle refers to the methods in ``_METHODS``.

    ``getattr`` itself would lead from any allowed global to everything else.
    """
    if (owner, name) not in _METHODS:
        raise pickle.UnpicklingError('GLOBAL builtins.getattr is allowed for a few methods only')
    return getattr(owner, name)


# numpy 1 writes `numpy.core...`, numpy 2 `numpy._core...`; a checkpoint of either loads with both.
_rebuild_array = np.empty(0).__reduce__()[0]
_rebuild_scalar = np.float64(0).__reduce__()[0]

HARMLESS_GLOBALS = [
    HistoryBuffer,  # the message hub's logs: arrays, and the names of the methods that reduce them
    codecs.encode,  # how bytes are written; torch 2.4 does not allow it by itself
    np.ndarray,
    np.dtype,
    *{type(np.dtype(code)) for code in '?bhilqBHILQefd'},  # what np.dtype(...) gives for numbers
    _known_as('numpy.core.multiarray._reconstruct', _rebuild_array),
    _known_as('numpy._core.multiarray._reconstruct', _rebuild_array),
    _known_as('numpy.core.multiarray.scalar', _rebuild_scalar),
    _known_as('numpy._core.multiarray.scalar', _rebuild_scalar),
    OneCycleParamScheduler,
    _known_as('builtins.getattr', _get_method),
]
