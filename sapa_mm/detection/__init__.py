"""mmdet necks that take an ``upsample_cfg``; import it by ``custom_imports`` in a config."""

from .. import engine  # noqa: F401  (registers the hook, makes checkpoint loading safe)
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
