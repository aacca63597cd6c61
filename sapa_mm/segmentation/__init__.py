"""mmseg heads that take an ``upsample_cfg``; add ``sapa_mm.segmentation`` to ``custom_imports``."""

from .upsample_segformer_head import UpsampleSegformerHead
from .upsample_uper_head import UpsampleUPerHead

__all__ = ['UpsampleSegformerHead', 'UpsampleUPerHead']
