"""Reading configs, checking them, and preparing to build from them."""

import contextlib
import copy
import inspect
import os
import traceback
import warnings
from contextlib import AbstractContextManager
from typing import Any

from mmengine.config import Config
from mmengine.registry import MODELS, DefaultScope
from torch import nn

from .. import upsamplers
from ..upsamplers import Upsampler
from ..upsamplers.build import UPSAMPLERS, check_upsample_cfg
from ..utils.configs import nested_configs, type_name
from ..utils.text import one_line
from .cfg_options import apply_options
from .checkpoint import read_checkpoint
from .data_root import move_data

#: Stock heads and necks that have a counterpart with an upsampler, and the room of that.
_COUNTERPARTS = {
    'FPN': 'sapa_mm.detection',
    'FPN_CARAFE': 'sapa_mm.detection',
    'SegformerHead': 'sapa_mm.segmentation',
    'UPerHead': 'sapa_mm.segmentation',
}
_LIBRARIES = ('mmseg', 'mmdet')
#: Default scopes, those of the libraries before that of models that need neither.
_SCOPES = (*_LIBRARIES, 'mmengine')
_DATALOADERS = ('train_dataloader', 'val_dataloader', 'test_dataloader')


class ConfigError(ValueError):
    """A setting of a config from which nothing can be built."""


def read_config(
    path: str, options: dict[str, Any] | None = None, data_root: str | None = None
) -> Config:
    """Read the config of a model.

    The modules in its ``custom_imports`` are imported; nothing else changes in the process. Use
    ``in_scope`` to build parts of it. Without a ``default_scope`` it gets that of its model.

    Args:
        path (str): The config file.
        options (dict, optional): Settings to override, with dotted keys. Defaults to None.
        data_root (str, optional): Folder of the data, see ``move_data``; ``options`` win over it.
            Defaults to None, the config's own.

    Returns:
        Config: The config.

    Raises:
        FileNotFoundError: If there is no such file or folder.
        ValueError: If the file is not the config of a model, or an option or ``data_root`` does not
            fit it. Messages call the first arguments ``config`` and ``cfg_options``, as callers do.
    """
    if not os.path.isfile(path):
        raise FileNotFoundError(f'config: {path} is not a file')
    try:
        cfg = Config.fromfile(path)
    except Exception as error:
        # A config is Python and may raise anything.
        raise ValueError(f'config: {path} cannot be read: {one_line(error)}') from error
    if data_root is not None:
        if '://' not in data_root and not os.path.isdir(data_root):
            raise FileNotFoundError(f'data_root: {data_root!r} is not a folder')
        _check_dicts(cfg)
        cfg.merge_from_dict(move_data(cfg, data_root, options or ()))
    if options:
        try:
            with in_scope(cfg):
                apply_options(cfg, options)
        except (KeyError, TypeError, IndexError, ValueError) as error:
            raise ValueError(f'`cfg_options` do not fit {path}: {error}') from error
    _check_dicts(cfg)
    if cfg.get('default_scope') is None and (scope := _model_scope(cfg.model.get('type'))):
        cfg.default_scope = scope
    return cfg


def _check_dicts(cfg: Config) -> None:
    if cfg.get('model') is None:
        raise ValueError(f'config: {cfg.filename} has no model')
    for key in ('model', *_DATALOADERS):
        if not isinstance(cfg.get(key) or {}, dict):
            raise ValueError(f'config: {cfg.filename}: {key} must be a dict(...), got {cfg[key]!r}')


def _model_scope(kind: Any) -> str | None:
    """Find the library of a model: pure Python configs need no default scope."""
    modules = (
        [base.__module__ for base in inspect.getmro(kind)] if inspect.isclass(kind) else [kind]
    )
    libraries = [str(module).partition('.')[0] for module in modules]
    return next((library for library in libraries if library in _SCOPES), None)


def in_scope(cfg: Config) -> AbstractContextManager[None]:
    """Make a config's default scope the current one while a ``with`` block runs.

    The types in a config are names in the registries of its ``default_scope``: 'mmseg', 'mmdet', or
    'mmengine', which is also that of a config without one.

    Args:
        cfg (Config): The config.

    Returns:
        AbstractContextManager: The context to enter.
    """
    return DefaultScope.overwrite_default_scope(cfg.get('default_scope') or 'mmengine')


def without_initialisation(model: dict) -> dict:
    """Copy a model's config without its weight initialisation.

    Args:
        model (dict): The config of the model. A model built from the copy downloads no weights.

    Returns:
        dict: The copy; ``init_cfg`` and ``pretrained`` are None wherever they are set.
    """
    model = copy.deepcopy(model)
    for _, nested in nested_configs(model, 'model'):
        for key in nested.keys() & {'init_cfg', 'pretrained'}:
            nested[key] = None
    return model


def build_model(cfg: Config) -> nn.Module:
    """Build the model of a config, without initialising its weights.

    Args:
        cfg (Config): The config.

    Returns:
        nn.Module: The model.

    Raises:
        ConfigError: If it cannot be built.
    """
    check_upsamplers(cfg)
    try:
        with in_scope(cfg), warnings.catch_warnings():
            # Modules of the hosts give advice as they are built.
            warnings.simplefilter('ignore')
            return MODELS.build(without_initialisation(cfg.model))
    except Exception as error:
        raise ConfigError(
            f'config: the model of {cfg.filename} cannot be built: {describe_failure(error, cfg)}'
        ) from error


def check_upsamplers(cfg: Config) -> None:
    """Check each ``upsample_cfg`` in the model of a config.

    Args:
        cfg (Config): The config.

    Raises:
        ConfigError: If an upsample_cfg of our models, heads and necks is not a dict, or its type or
            an option is unknown; or if one stands in a head or neck of mmseg or mmdet that cannot
            take it.
    """
    for key, nested in nested_configs(cfg.model, 'model'):
        if nested.get('upsample_cfg') is None:
            continue
        kind = _find_class(cfg, nested.get('type'))
        libraries = [base.__module__.partition('.')[0] for base in inspect.getmro(kind or object)]
        try:
            # A name tells as much where the module of the class is not imported.
            if 'sapa_mm' in libraries or type_name(nested.get('type')).startswith('Upsample'):
                check_upsample_cfg(nested['upsample_cfg'], f'{key}.upsample_cfg')
            elif kind and libraries[0] in _LIBRARIES:
                _check_stock_module(kind, nested, key)
        except (TypeError, ValueError) as error:
            raise ConfigError(str(error)) from error


def _find_class(cfg: Config, kind: Any) -> type | None:
    """Find the class of a part of a model; None if there is none, which building it reports."""
    if isinstance(kind, str):
        # A module may fail to import.
        scope = MODELS.switch_scope_and_registry(None)
        with in_scope(cfg), scope as registry, contextlib.suppress(Exception):
            kind = registry.get(kind)
    return kind if inspect.isclass(kind) else None


def _check_stock_module(cls: type, config: dict, key: str) -> None:
    upsample_cfg = config['upsample_cfg']
    parameters = [inspect.signature(base).parameters for base in inspect.getmro(cls)[:-1]]
    defaults = [p['upsample_cfg'].default for p in parameters if 'upsample_cfg' in p]
    fits = bool(defaults) and isinstance(upsample_cfg, dict)
    if fits and 'type' in upsample_cfg:
        kind = upsample_cfg['type']
        own = UPSAMPLERS.get(kind) if isinstance(kind, str) else kind
        is_own = inspect.isclass(own) and issubclass(own, Upsampler) and not own.in_mmcv
        # Stock modules without a type hand their options to torch's interpolation.
        fits = not is_own and isinstance(defaults[0], dict) and 'type' in defaults[0]
    if not fits:
        room = _COUNTERPARTS.get(cls.__name__)
        advice = ', '.join(f'Upsample{name.replace("_", "")}' for name in _COUNTERPARTS)
        if room is not None:
            name = cls.__name__.replace('_', '')
            advice = f"type='Upsample{name}', with {room} in custom_imports"
        raise ValueError(
            f'{key}.upsample_cfg: {cls.__name__} of {cls.__module__.partition(".")[0]} does not '
            f'take {upsample_cfg!r}; the upsamplers of sapa_mm are for {advice}'
        )


def describe_failure(error: Exception, cfg: Config) -> str:
    """Describe in one line why something cannot be built from a config.

    A wrong setting may raise anything: that is up to the module that it is for.

    Args:
        error (Exception): The error.
        cfg (Config): The config.

    Returns:
        str: The error and where to look: the keys of the upsamplers in the config if one of them
        raised it, otherwise file and line.
    """
    cause: BaseException = error
    while cause.__context__ is not None:
        cause = cause.__context__
    place = traceback.extract_tb(cause.__traceback__)[-1]
    where = f'{place.filename}, line {place.lineno}'
    if os.path.dirname(place.filename) in upsamplers.__path__:
        keys = [
            key for key, _ in nested_configs(cfg.model, 'model') if key.endswith('upsample_cfg')
        ]
        where = ', '.join(keys)
    return f'{one_line(error)} ({where})'


def check_checkpoint(path: str, name: str) -> None:
    """Check that a checkpoint loads before other work is done. URLs are not checked.

    Args:
        path (str): A path or a URL, such as ``https://...`` or ``torchvision://...``.
        name (str): The argument or config key that it came from, for the error message.

    Raises:
        FileNotFoundError: If there is no such file.
        CheckpointError: If it cannot be loaded.
    """
    if '://' not in path:
        read_checkpoint(path, name=name, mmap=True)
