"""Upsamplers: ``upsampler(x, guide)``, the low-res feature first, plain torch modules.

One file each: a class in a file here that states its ``name`` is among ``UPSAMPLERS``.
"""

from .a2u import A2U
from .base import PointUpsampler, Table1Row, Upsampler, WindowUpsampler
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
    'PointUpsampler',
    'SapaB',
    'SapaD',
    'SapaI',
    'Table1Row',
    'Upsampler',
    'WindowUpsampler',
    'build_upsampler',
]

# Those of files that are not named above.
globals().update({_upsampler.__name__: _upsampler for _upsampler in UPSAMPLERS.values()})
