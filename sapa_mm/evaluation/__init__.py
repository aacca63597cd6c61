"""Metrics that the host libraries lack; add ``sapa_mm.evaluation`` to ``custom_imports``."""

from .boundary_iou import BoundaryIoUMetric
from .matting_metric import MattingMetric
from .panoptic_metric import PanopticMetric

__all__ = ['BoundaryIoUMetric', 'MattingMetric', 'PanopticMetric']
