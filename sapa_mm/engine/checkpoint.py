"""Loading checkpoints without running code from them, in upstream mmengine and OneDL's.

Upstream mmengine cannot load its own checkpoints with a current torch: ``torch.load`` defaults to
``weights_only=True``, and the message hub's ``HistoryBuffer`` is not an allowed global. OneDL's
loader falls back to plain unpickling, which runs whatever the file asks for. The loaders here allow
only the few harmless globals that mmengine writes; ``install_safe_loading`` substitutes them for
mmengine's.
"""

import functools
import os
import pickle
import re
import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any

import numpy as np
import torch
from mmengine.logging import HistoryBuffer
from mmengine.optim.scheduler.param_scheduler import OneCycleParamScheduler
from mmengine.runner import CheckpointLoader
from mmengine.runner import checkpoint as mmengine_checkpoint

from ..utils.text import one_line
from .published import SUFFIX, PublishedError, read_weights

TRUST_VARIABLE = 'SAPA_MM_TRUST_CHECKPOINTS'


class CheckpointError(ValueError):
    """A checkpoint is damaged, refused, or not a checkpoint at all."""


class DamagedCheckpoint(CheckpointError):
    """A checkpoint is unreadable, for example because saving it was interrupted."""


def read_checkpoint(
    path: str,
    map_location: str | Callable | None = None,
    name: str = 'checkpoint',
    mmap: bool = False,
) -> Any:
    """Load a checkpoint or published weights, and refuse to run code from the file.

    Args:
        path (str): The file.
        map_location (str or callable, optional): Same as ``torch.load``. Defaults to None.
        name (str): What error messages call the file, such as the argument it came from.
            Defaults to 'checkpoint'.
        mmap (bool): Whether to leave the tensors on disk until they are used, which makes
            inspecting a large file cheap. Defaults to False.

    Returns:
        Any: The saved object, usually a dict.

    Raises:
        FileNotFoundError: If there is no such file.
        CheckpointError: If the file is a directory, empty, truncated or not a checkpoint, or if
            it needs globals that are not allowed. The environment variable
            ``SAPA_MM_TRUST_CHECKPOINTS=1`` allows them all, which runs code from the file.
    """
    path = os.path.expanduser(path)
    label = f'{name}: {path}'
    if not os.path.exists(path):
        raise FileNotFoundError(f'{label} does not exist')
    if not os.path.isfile(path):
        raise CheckpointError(f'{label} is a directory; give the .pth file inside it')
    if path.endswith(SUFFIX):
        return _read_published(path, name)
    if os.path.getsize(path) == 0:
        raise DamagedCheckpoint(f'{label} is empty; use an earlier checkpoint or fetch it again')
    is_zip = zipfile.is_zipfile(path)
    if not is_zip and _starts_like_zip(path):
        raise DamagedCheckpoint(
            f'{label} is truncated: a save, copy or download of it stopped half-way; '
            'use an earlier checkpoint or fetch it again'
        )
    with _safe_load(label, path if is_zip else None):
        content = torch.load(
            path, map_location, weights_only=not _trusted(), mmap=True if mmap and is_zip else None
        )
        return _harmless(content)


def _read_published(path: str, name: str) -> dict:
    """Read published weights as a checkpoint of mmengine."""
    try:
        weights, metadata = read_weights(path, name)
    except PublishedError as error:
        raise CheckpointError(str(error)) from error
    meta = {key: metadata[key] for key in ('dataset_meta', 'model', 'geometry')}
    return {'state_dict': weights, 'meta': meta}


def _starts_like_zip(path: str) -> bool:
    with open(path, 'rb') as file:
        return file.read(4) == b'PK\x03\x04'


def _trusted() -> bool:
    return os.environ.get(TRUST_VARIABLE, '') == '1'


@contextmanager
def _safe_load(label: str, zip_path: str | None = None) -> Iterator[None]:
    """Allow mmengine's globals while a checkpoint loads, and explain failures.

    Args:
        label (str): What error messages call the checkpoint.
        zip_path (str, optional): The file, if it is one in torch's zip format: its globals can be
            listed without loading it. Defaults to None.

    Raises:
        CheckpointError: If the checkpoint is refused or cannot be read.
    """
    with torch.serialization.safe_globals(_HARMLESS_GLOBALS):
        try:
            yield
        except pickle.UnpicklingError as error:
            refused = _refused_globals(error, zip_path)
            if not refused:
                raise DamagedCheckpoint(f'{label} is damaged or no checkpoint') from error
            raise CheckpointError(
                f'{label} is refused: loading it runs {", ".join(refused)}. '
                f'If you trust whoever made it, set {TRUST_VARIABLE}=1 in the environment, '
                'which executes code from the file'
            ) from error
        except Exception as error:
            # The unpickler may raise anything on a damaged file.
            is_sound = isinstance(error, (OSError, MemoryError, ImportError, AttributeError))
            raise (CheckpointError if is_sound else DamagedCheckpoint)(
                f'{label} cannot be loaded: {one_line(error)}'
            ) from error


def _refused_globals(error: Exception, zip_path: str | None) -> list[str]:
    """List the globals that made torch refuse a checkpoint; its error names only the first."""
    names = re.findall(r'GLOBAL (\S+)', str(error))[:1]
    if zip_path is not None:
        with suppress(Exception):  # it does not support all opcodes, nor files that are two things
            names = torch.serialization.get_unsafe_globals_in_checkpoint(zip_path) or names
    return sorted(names)


def _guarded(loader: Callable) -> Callable:
    """Make one of mmengine's loaders of remote checkpoints safe."""

    @functools.wraps(loader)
    def load(filename: str, map_location: str | Callable | None = None) -> Any:
        if _trusted():
            return loader(filename, map_location)
        with _weights_only(), _safe_load(f'checkpoint: {filename}'):
            return _harmless(loader(filename, map_location))

    return load


@contextmanager
def _weights_only() -> Iterator[None]:
    """Overrule mmengine's ``weights_only=False`` for downloads by torch's own switch."""
    switch = 'TORCH_FORCE_WEIGHTS_ONLY_LOAD'
    before = os.environ.get(switch)
    os.environ[switch] = '1'
    try:
        yield
    finally:
        if before is None:
            del os.environ[switch]
        else:
            os.environ[switch] = before


def load_from_local(filename: str, map_location: str | Callable | None = None) -> Any:
    """Load a checkpoint from a path; see ``read_checkpoint``."""
    return read_checkpoint(filename, map_location)


_SAFE_LOADERS = {
    ('',): load_from_local,
    ('http://', 'https://'): _guarded(mmengine_checkpoint.load_from_http),
    ('modelzoo://', 'torchvision://'): _guarded(mmengine_checkpoint.load_from_torchvision),
    ('open-mmlab://', 'openmmlab://'): _guarded(mmengine_checkpoint.load_from_openmmlab),
    ('mmcls://',): _guarded(mmengine_checkpoint.load_from_mmcls),
}


def install_safe_loading() -> None:
    """Make mmengine load checkpoints as ``read_checkpoint`` does, in this process.

    The loaders in mmengine's ``CheckpointLoader`` for local files, downloads and model zoos are
    replaced: no code from a checkpoint is run, and mmengine's own checkpoints load with every
    version of torch. Calling it again changes nothing.

    The tools of this repository call it when they start. For others, such as mmseg's own
    ``train.py``, name the module ``sapa_mm.engine.safe_loading`` in the config's
    ``custom_imports``.
    """
    for prefixes, loader in _SAFE_LOADERS.items():
        CheckpointLoader.register_scheme(prefixes, loader, force=True)


# The few globals that mmengine writes into checkpoints, beyond those that torch allows.


def _known_as(path: str, function: Any) -> Callable:
    """Wrap a function under the name by which checkpoints refer to it."""

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
    """Replace ``getattr``, by which pickle refers to the methods in ``_METHODS``.

    ``getattr`` itself would reach everything else from any allowed global.
    """
    if (owner, name) not in _METHODS:
        raise pickle.UnpicklingError('GLOBAL builtins.getattr is allowed for a few methods only')
    return getattr(owner, name)


class _Dtype:
    """Stands in for ``numpy.dtype``, which believes the sizes in a pickle and reads past the data.

    Args:
        code (str): A numeric type, such as 'f4'.
    """

    _CODES = [np.dtype(code).str[1:] for code in '?bhilqBHILQefd']

    def __init__(self, code: str, *_):
        if code not in self._CODES:
            raise pickle.UnpicklingError('GLOBAL numpy.dtype is allowed for numbers only')
        self.numpy = np.dtype(code)

    def __setstate__(self, state: tuple) -> None:
        _, order, *structure = state[:5]
        if any(part is not None for part in structure):
            raise pickle.UnpicklingError('GLOBAL numpy.dtype is allowed for numbers only')
        self.numpy = self.numpy.newbyteorder(order)


class _Array(np.ndarray):
    """Stands in for an array while it is unpickled; its dtype is a ``_Dtype``."""

    def __new__(cls) -> '_Array':
        return super().__new__(cls, 0)

    def __setstate__(self, state: tuple) -> None:
        version, shape, dtype, *data = state
        super().__setstate__((version, shape, dtype.numpy, *data))


class _Lazy:
    """Stands in for what a new-style config imports; it becomes its dotted name."""

    _module: Any = ''
    _imported: str | None = None
    source: '_Lazy | None' = None
    name = ''

    def __str__(self) -> str:
        if self.source is not None:
            return f'{self.source}.{self.name}'
        module = self._module if isinstance(self._module, str) else self._module[0]
        return module if self._imported is None else f'{module}.{self._imported}'


_LAZY = [
    type(name, (_Lazy,), {'__module__': 'mmengine.config.lazy'})
    for name in ('LazyObject', 'LazyAttr')
]


def _harmless(checkpoint: Any) -> Any:
    """Replace the stand-ins in a checkpoint, and drop the code that mmengine would run."""
    checkpoint = _as_numpy(checkpoint, {})
    meta = checkpoint.get('meta') if isinstance(checkpoint, dict) else None
    if isinstance(meta, dict) and not _trusted():
        # The config of mmcv 1, as Python: mmengine runs it on resuming.
        meta.pop('config', None)
    return checkpoint


def _as_numpy(value: Any, done: dict[int, tuple]) -> Any:
    """Replace the stand-ins in an unpickled value: in place, except in tuples."""
    if isinstance(value, _Array):
        return np.array(value)
    if isinstance(value, _Dtype):
        return value.numpy
    if isinstance(value, _Lazy):
        return str(value)
    if isinstance(value, (HistoryBuffer, OneCycleParamScheduler)):
        _as_numpy(vars(value), done)
    if not isinstance(value, (dict, list)) and type(value) is not tuple:
        return value
    if id(value) not in done:
        done[id(value)] = value, value  # kept, so that no other object gets its id
        if isinstance(value, dict):
            value.update({key: _as_numpy(item, done) for key, item in value.items()})
        elif isinstance(value, list):
            value[:] = [_as_numpy(item, done) for item in value]
        else:
            done[id(value)] = value, tuple(_as_numpy(item, done) for item in value)
    return done[id(value)][1]


def _new_scalar(dtype: _Dtype, data: bytes) -> np.generic:
    return np.frombuffer(data, dtype.numpy, 1)[0]


_HARMLESS_GLOBALS = [
    # The settings of a dataset, as far as they are nested: dict(metainfo=dict(source=dict(...))).
    _known_as('mmengine.config.config.ConfigDict', dict),
    *_LAZY,
    HistoryBuffer,  # the message hub's logs: arrays, and the names of the methods that reduce them
    OneCycleParamScheduler,
    _known_as('builtins.getattr', _get_method),
    _known_as('numpy.ndarray', lambda: None),  # only named, as the class of what is rebuilt
    _known_as('numpy.dtype', _Dtype),
    _Dtype,
    _Array,
    # numpy 1 writes `numpy.core...`, numpy 2 `numpy._core...`; either's loads with both.
    _known_as('numpy.core.multiarray._reconstruct', lambda *_: _Array()),
    _known_as('numpy._core.multiarray._reconstruct', lambda *_: _Array()),
    _known_as('numpy.core.multiarray.scalar', _new_scalar),
    _known_as('numpy._core.multiarray.scalar', _new_scalar),
]
