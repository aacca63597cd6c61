"""From an ``upsample_cfg`` to an upsampler, and from our classes to mmengine's registry."""

import inspect
from typing import Any

from .a2u import A2U
from .base import Upsampler
from .carafe import Carafe
from .deconv import Deconv
from .dysample import DySample
from .fade import Fade
from .index_net import IndexNet
from .interpolation import Bilinear, Nearest
from .pixel_shuffle import PixelShuffle
from .sapa_b import SapaB
from .sapa_d import SapaD
from .sapa_i import SapaI

try:
    from mmengine.registry import MODELS
except ImportError:
    MODELS = None

#: mmcv registers these names itself; ours mean the same, and run on a CPU too.
STOCK_UPSAMPLERS: dict[str, type[Upsampler]] = {
    'nearest': Nearest,
    'bilinear': Bilinear,
    'deconv': Deconv,
    'pixel_shuffle': PixelShuffle,
    'carafe': Carafe,
}
OWN_UPSAMPLERS: dict[str, type[Upsampler]] = {
    'sapa_i': SapaI,
    'sapa_b': SapaB,
    'sapa_d': SapaD,
    'index_net': IndexNet,
    'a2u': A2U,
    'fade': Fade,
    'dysample': DySample,
}
UPSAMPLERS = STOCK_UPSAMPLERS | OWN_UPSAMPLERS

_SET_BY_HOST = ('self', 'in_channels', 'guide_channels', 'scale_factor')

if MODELS is not None:
    for _name, _upsampler in OWN_UPSAMPLERS.items():
        MODELS.register_module(name=_name, module=_upsampler)


def build_upsampler(
    cfg: dict[str, Any],
    in_channels: int,
    guide_channels: int | None = None,
    scale_factor: int = 2,
) -> Upsampler:
    """Builds an upsampler from a head's or neck's ``upsample_cfg``.

    Args:
        cfg (dict): ``type``, one of the names in ``UPSAMPLERS`` or of an :class:`Upsampler` that
            a user registered in mmengine's ``MODELS``, or such a class itself, and options of that
            upsampler.
        in_channels (int): Channels of the low-res feature.
        guide_channels (int, optional): Channels of the guide. Defaults to ``in_channels``.
        scale_factor (int): Ratio of upsampling. Defaults to 2.

    Returns:
        Upsampler: The module.

    Raises:
        TypeError: If cfg is no dict.
        ValueError: If the type is missing or unknown, an option is unknown, or its value is not
            allowed.
    """
    upsampler = check_upsample_cfg(cfg)
    options = {name: value for name, value in cfg.items() if name != 'type'}
    return upsampler(in_channels, guide_channels, scale_factor, **options)


def check_upsample_cfg(cfg: dict[str, Any], name: str = 'upsample_cfg') -> type[Upsampler]:
    """Checks type and names of the options of an ``upsample_cfg`` without building anything.

    Args:
        cfg (dict): See :func:`build_upsampler`.
        name (str): What error messages call it. Defaults to 'upsample_cfg'.

    Returns:
        type[Upsampler]: The class that it asks for.

    Raises:
        TypeError: If cfg is no dict.
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
            f'{name}: {cfg["type"]} has no option {", ".join(unknown)}; '
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
            upsampler = MODELS.get(kind)
    if not (inspect.isclass(upsampler) and issubclass(upsampler, Upsampler)):
        raise ValueError(f'{name}: type must be one of {_known()}, got {kind!r}')
    return upsampler
