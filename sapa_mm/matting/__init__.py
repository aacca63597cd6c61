"""Image matting on mmengine and mmcv; add ``sapa_mm.matting`` to ``custom_imports``."""

# Registers the metric.
from ..evaluation.matting_metric import MattingMetric
from .a2u_matting import A2UMatting
from .inference import inference_matting
from .loading import LoadAlphaAnnotations, LoadFgAndBg, LoadMattingImage, LoadTrimap
from .matting_dataset import MattingDataset
from .matting_losses import AlphaLoss, CompositionLoss
from .matting_preprocessor import MattingDataPreprocessor
from .matting_sample import MattingSample
from .pack_matting_inputs import PackMattingInputs
from .transforms import (
    CompositeFg,
    CropAroundUnknown,
    GenerateTrimap,
    JitterFg,
    MergeFgAndBg,
    RandomFgAffine,
    ResizeFg,
)
from .trimap import clean_trimap, make_trimap

__all__ = [
    'A2UMatting',
    'AlphaLoss',
    'CompositeFg',
    'CompositionLoss',
    'CropAroundUnknown',
    'GenerateTrimap',
    'JitterFg',
    'LoadAlphaAnnotations',
    'LoadFgAndBg',
    'LoadMattingImage',
    'LoadTrimap',
    'MattingDataPreprocessor',
    'MattingDataset',
    'MattingMetric',
    'MattingSample',
    'MergeFgAndBg',
    'PackMattingInputs',
    'RandomFgAffine',
    'ResizeFg',
    'clean_trimap',
    'inference_matting',
    'make_trimap',
]
