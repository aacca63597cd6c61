"""Monocular depth estimation for mmseg; add ``sapa_mm.depth`` to ``custom_imports``."""

# Registers the metric.
from ..evaluation.depth_metric import MonocularDepthMetric
from .deformable_attention import MultiScaleDeformableAttention
from .hahi_neck import HAHINeck
from .stem_swin_transformer import StemSwinTransformer

__all__ = [
    'HAHINeck',
    'MonocularDepthMetric',
    'MultiScaleDeformableAttention',
    'StemSwinTransformer',
]
