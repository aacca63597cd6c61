"""mmseg heads that take an ``upsample_cfg``; import it by ``custom_imports`` in a config."""

from .. import engine  # noqa: F401  (registers the hook, makes checkpoint loading safe)
from .upsample_segformer_head import UpsampleSegformerHead
from .upsample_uper_head import UpsampleUPerHead

__all__ = ['UpsampleSegformerHead', 'UpsampleUPerHead']
