"""Swin Transformer beside a convolution stem."""

from collections.abc import Sequence
from typing import Any

from mmcv.cnn import ConvModule
from mmseg.models.backbones import SwinTransformer
from mmseg.registry import MODELS
from sapa_ops.checks import check_positive
from sapa_ops.geometry import is_recorded
from torch import Tensor

from ..upsamplers.state_dict import rename_keys
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
        self._check_stages(**kwargs)
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
        if is_recorded() and not self.use_abs_pos_embed:
            stages = swin_stages(self, image)
        else:
            stages = super().forward(image)
        return self.stem(image), *stages

    def _check_stages(
        self,
        embed_dims: int = 96,
        depths: Sequence[int] = (2, 2, 6, 2),
        num_heads: Sequence[int] = (3, 6, 12, 24),
        strides: Sequence[int] = (4, 2, 2, 2),
        patch_size: int = 4,
        out_indices: Sequence[int] = (0, 1, 2, 3),
        **others,
    ) -> None:
        name = type(self).__name__
        check_positive(name, embed_dims=embed_dims)
        for argument, values in (('num_heads', num_heads), ('strides', strides)):
            if len(values) != len(depths):
                raise ValueError(
                    f'{name}: {argument} must be one for each of the {len(depths)} depths, '
                    f'got {len(values)}'
                )
        for stage, heads in enumerate(num_heads):
            channels = embed_dims * 2**stage
            if channels % heads:
                raise ValueError(
                    f'{name}: num_heads[{stage}]={heads} must divide the {channels} channels of '
                    f'its stage (embed_dims={embed_dims})'
                )
        if strides[0] != patch_size:
            raise ValueError(f'{name}: strides[0]={strides[0]} must be patch_size={patch_size}')
        if not set(out_indices) <= set(range(len(depths))):
            raise ValueError(
                f'{name}: out_indices must be in 0..{len(depths) - 1}, got {out_indices}'
            )

    def _load_from_state_dict(self, state_dict, prefix, *args, **kwargs):
        # The names in the Monocular-Depth-Estimation-Toolbox.
        rename_keys(state_dict, prefix, {'conv1': 'stem.conv', 'bn1': 'stem.bn'})
        super()._load_from_state_dict(state_dict, prefix, *args, **kwargs)
