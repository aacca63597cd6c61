"""Monocular depth estimation for mmseg; add ``sapa_mm.depth`` to ``custom_imports``."""

# Registers the metric.
from ..evaluation.depth_metric import MonocularDepthMetric

__all__ = ['MonocularDepthMetric']
