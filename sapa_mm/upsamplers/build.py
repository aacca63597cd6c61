"""Building upsamplers from an ``upsample_cfg``, and registering them in mmengine."""

import contextlib
import importlib
import inspect
import pkgutil
import sys
from typing import Any

from ..utils.configs import type_name
from .base import Upsampler

try:
    from mmengine.registry import MODELS
except ImportError:
    MODELS = None

_SET_BY_HOST = ('self', 'in_channels', 'guide_channels', 'scale_factor')


def _find_upsamplers() -> dict[str, type[Upsampler]]:
    """Imports all modules of this package and finds the classes that set ``name``."""
    by_name: dict[str, type[Upsampler]] = {}
    for file in pkgutil.iter_modules(sys.modules[__package__].__path__):
        module = importlib.import_module(f'{__package__}.{file.name}')
        for cls in vars(module).values():
            if not (inspect.isclass(cls) and issubclass(cls, Upsampler)) or cls.name is None:
                continue
            if by_name.setdefault(cls.name, cls) is not cls:
                raise ValueError(f'{cls} and {by_name[cls.name]} have the same name, {cls.name}')
    return by_name


#: This package's upsamplers by name.
UPSAMPLERS: dict[str, type[Upsampler]] = _find_upsamplers()

if MODELS is not None:
    for _name, _upsampler in UPSAMPLERS.items():
        if not _upsampler.in_mmcv:
            MODELS.register_module(name=_name, module=_upsampler)


def build_upsampler(
    cfg: dict[str, Any],
    in_channels: int,
    guide_channels: int | None = None,
    scale_factor: int = 2,
) -> Upsampler:
    """Builds an upsampler from a head's or neck's ``upsample_cfg``.

    Args:
        cfg (dict): ``type`` and options of the upsampler. The type is a name in ``UPSAMPLERS``,
            the name of an ``Upsampler`` registered in mmengine's ``MODELS``, or such a class.
        in_channels (int): Channels of the low-res feature.
        guide_channels (int, optional): Channels of the guide. Defaults to ``in_channels``.
        scale_factor (int): Upsampling ratio. Defaults to 2.

    Returns:
        Upsampler: The module.

    Raises:
        TypeError: If cfg is not a dict.
        ValueError: If the type is missing or unknown, an option is unknown, or its value is not
            allowed.
    """
    upsampler = check_upsample_cfg(cfg)
    options = {name: value for name, value in cfg.items() if name != 'type'}
    return upsampler(in_channels, guide_channels, scale_factor, **options)


def check_upsample_cfg(cfg: dict[str, Any], name: str = 'upsample_cfg') -> type[Upsampler]:
    """Checks the type and the option names of an ``upsample_cfg`` without building anything.

    Args:
        cfg (dict): See ``build_upsampler``.
        name (str): What error messages call it. Defaults to 'upsample_cfg'.

    Returns:
        type[Upsampler]: The class of that type.

    Raises:
        TypeError: If cfg is not a dict.
        ValueError: If the type is missing or unknown, or an option is unknown.
    """
    if not isinstance(cfg, dict):
        raise TypeError(f'{name} must be a dict(type=...), got {cfg!r}')
    if 'type' not in cfg:
        raise ValueError(f'{name} must have a type, one of {_known()}; got {cfg!r}')
    upsampler = _lookup(cfg['type'], name)
    allowed = [name for name in inspect.signature(upsampler).parameters if name not in _SET_BY_HOST]
    unknown = [option for option in cfg if option not in ('type', *allowed)]
    if unknown:
        raise ValueError(
            f'{name}: {type_name(cfg["type"])} has no option {", ".join(unknown)}; '
            f'allowed are {", ".join(allowed) or "none"}'
        )
    return upsampler


def _known() -> str:
    return ', '.join(sorted(UPSAMPLERS))


def _lookup(kind: str | type[Upsampler], name: str) -> type[Upsampler]:
    upsampler = kind
    if isinstance(kind, str):
        upsampler = UPSAMPLERS.get(kind)
        if upsampler is None and kind and MODELS is not None:
            # It raises for the name of a module that cannot be imported.
            with contextlib.suppress(RuntimeError):
                upsampler = MODELS.get(kind)
    if not (inspect.isclass(upsampler) and issubclass(upsampler, Upsampler)):
        raise ValueError(
            f"{name}: type must be one of {_known()}, or an Upsampler registered in mmengine's "
            f'MODELS, got {kind!r}'
        )
    return upsampler
