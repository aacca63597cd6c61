"""Monocular depth estimation for mmseg; add ``sapa_mm.depth`` to ``custom_imports``."""

# Registers the metric.
from ..evaluation.depth_metric import MonocularDepthMetric
from .deformable_attention import MultiScaleDeformableAttention
from .flip_depth_estimator import FlipDepthEstimator
from .hahi_neck import HAHINeck
from .sig_loss import SigLoss
from .stem_swin_transformer import StemSwinTransformer
from .transforms import ColorAug, FixedCrop
from .upsample_dense_depth_head import UpsampleDenseDepthHead

__all__ = [
    'ColorAug',
    'FixedCrop',
    'FlipDepthEstimator',
    'HAHINeck',
    'MonocularDepthMetric',
    'MultiScaleDeformableAttention',
    'SigLoss',
    'StemSwinTransformer',
    'UpsampleDenseDepthHead',
]
