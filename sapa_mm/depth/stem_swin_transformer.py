"""Swin Transformer beside a convolution stem."""

from typing import Any

import torch
from mmcv.cnn import ConvModule
from mmseg.models.backbones import SwinTransformer
from mmseg.registry import MODELS
from torch import Tensor

from .deformable_attention import check_positive
from .traceable_swin import swin_stages


@MODELS.register_module()
class StemSwinTransformer(SwinTransformer):
    """DepthFormer's encoder: a convolution stem at half resolution beside Swin.

    The stem (7×7 convolution of stride 2, normalisation, ReLU) starts at random; Swin's parameters
    have mmseg's names, so that ``init_cfg`` takes mmseg's converted ImageNet weights.

    Args:
        stem_channels (int): Channels of the stem. Defaults to 64.
        stem_norm_cfg (dict, optional): Its normalisation. Defaults to ``dict(type='BN')``.
        **kwargs: Arguments of mmseg's ``SwinTransformer``; ``init_cfg`` is for its weights.

    Raises:
        ValueError: If stem_channels is not a positive integer, or depths, num_heads, strides and
            embed_dims do not fit.
    """

    def __init__(
        self,
        stem_channels: int = 64,
        stem_norm_cfg: dict[str, Any] | None = None,
        **kwargs,
    ):
        check_positive(type(self).__name__, stem_channels=stem_channels)
        super().__init__(**kwargs)
        self.stem = ConvModule(
            self.patch_embed.projection.in_channels,
            stem_channels,
            kernel_size=7,
            stride=2,
            padding=3,
            norm_cfg=dict(type='BN') if stem_norm_cfg is None else stem_norm_cfg,
        )

    def forward(self, image: Tensor) -> tuple[Tensor, ...]:
        """Encode.

        Args:
            image (Tensor): (N, 3, H, W); sides that a stride does not divide are rounded up.

        Returns:
            tuple[Tensor, ...]: The stem (N, stem_channels, H/2, W/2), then Swin's stages, by
            default (N, embed_dims * 2**i, H/2**(i + 2), W/2**(i + 2)) for i from 0 to 3.
        """
        is_traced = torch.jit.is_tracing() or torch.compiler.is_compiling()
        if is_traced and not self.use_abs_pos_embed:
            stages = swin_stages(self, image)
        else:
            stages = super().forward(image)
        return self.stem(image), *stages
