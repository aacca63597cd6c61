"""Metrics that the host libraries lack; import it by ``custom_imports`` in a config."""

from .boundary_iou import BoundaryIoUMetric
from .panoptic_metric import PanopticMetric

__all__ = ['BoundaryIoUMetric', 'PanopticMetric']
