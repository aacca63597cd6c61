"""mmdet necks that take an ``upsample_cfg``; add ``sapa_mm.detection`` to ``custom_imports``."""

from .load_panoptic_annotations import LoadCocoPanopticAnnotations
from .panoptic_fpn_with_instances import PanopticFPNWithInstances
from .upsample_fpn import UpsampleFPN
from .upsample_fpn_carafe import UpsampleFPNCARAFE

__all__ = [
    'LoadCocoPanopticAnnotations',
    'PanopticFPNWithInstances',
    'UpsampleFPN',
    'UpsampleFPNCARAFE',
]
