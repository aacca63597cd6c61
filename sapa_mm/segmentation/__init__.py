"""mmseg heads that take an ``upsample_cfg``; import it by ``custom_imports`` in a config."""

from .upsample_segformer_head import UpsampleSegformerHead
from .upsample_uper_head import UpsampleUPerHead

__all__ = ['UpsampleSegformerHead', 'UpsampleUPerHead']
