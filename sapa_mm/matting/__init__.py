"""Image matting on mmengine and mmcv; add ``sapa_mm.matting`` to ``custom_imports``."""

from .a2u_matting import A2UMatting
from .matting_losses import AlphaLoss, CompositionLoss
from .matting_preprocessor import MattingDataPreprocessor
from .matting_sample import MattingSample
from .trimap import clean_trimap

__all__ = [
    'A2UMatting',
    'AlphaLoss',
    'CompositionLoss',
    'MattingDataPreprocessor',
    'MattingSample',
    'clean_trimap',
]
