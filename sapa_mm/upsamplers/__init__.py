"""Upsamplers: ``upsampler(x, guide)``, the low-res feature first, plain torch modules."""

from .a2u import A2U
from .base import Upsampler
from .build import UPSAMPLERS, build_upsampler
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

__all__ = [
    'A2U',
    'UPSAMPLERS',
    'Bilinear',
    'Carafe',
    'Deconv',
    'DySample',
    'Fade',
    'IndexNet',
    'Nearest',
    'PixelShuffle',
    'SapaB',
    'SapaD',
    'SapaI',
    'Upsampler',
    'build_upsampler',
]
