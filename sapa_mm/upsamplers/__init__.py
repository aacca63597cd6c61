"""Upsamplers: ``upsampler(x, guide)``, the low-res feature first, plain torch modules.

Each has a file of its own: every class in this package that sets ``name`` is in ``UPSAMPLERS``.
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

# Upsamplers in files that are not imported above.
globals().update({_upsampler.__name__: _upsampler for _upsampler in UPSAMPLERS.values()})
