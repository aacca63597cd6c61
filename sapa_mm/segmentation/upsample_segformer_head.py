"""SegFormer's head with upsamplers in place of its interpolation."""

from collections.abc import Sequence
from typing import Any

import torch
from mmseg.models.decode_heads import SegformerHead
from mmseg.registry import MODELS
from torch import Tensor, nn

from ..upsamplers import Bilinear, Nearest, build_upsampler
from ..upsamplers.state_dict import rename_keys


@MODELS.register_module()
class UpsampleSegformerHead(SegformerHead):
    """SegFormer's all-MLP head, which upsamples its features step by step with any upsampler.

    Each stage is embedded as in the stock head, then upsampled by factors of two to the size of
    the finest stage, guided by the embedded features of the finer stages, which are not
    updated themselves (Fig. 6). Four stages take six separate upsamplers::

        c4: upsamplers.0 (guide c3), 1 (c2), 2 (c1)
        c3: upsamplers.3 (c2), 4 (c1)
        c2: upsamplers.5 (c1)

    Interpolation needs no intermediate steps: with 'bilinear' the head is the stock one.

    Args:
        upsample_cfg (dict, optional): Type and options of the upsampler, see
            ``sapa_mm.upsamplers.build_upsampler``. Defaults to ``dict(type='bilinear')``.
        **kwargs: Arguments of mmseg's ``SegformerHead``, except ``interpolate_mode``, which
            ``upsample_cfg`` replaces.

    Raises:
        TypeError: If upsample_cfg is not a dict, or interpolate_mode is given.
        ValueError: If upsample_cfg's type or an option is unknown or does not fit the head.
    """

    def __init__(self, upsample_cfg: dict[str, Any] | None = None, **kwargs):
        if 'interpolate_mode' in kwargs:
            raise TypeError(
                'UpsampleSegformerHead: interpolate_mode is replaced by upsample_cfg, '
                f'e.g. upsample_cfg=dict(type={kwargs["interpolate_mode"]!r})'
            )
        super().__init__(**kwargs)
        cfg = dict(type='bilinear') if upsample_cfg is None else upsample_cfg
        kind = cfg.get('type') if isinstance(cfg, dict) else None
        if kind in ('bilinear', Bilinear):
            cfg = {'align_corners': self.align_corners, **cfg}
        self.single_step = kind in ('nearest', Nearest, 'bilinear', Bilinear)
        steps = sum(len(self._guides(stage)) for stage in range(len(self.in_channels)))
        self.upsamplers = nn.ModuleList(
            build_upsampler(cfg, self.channels, self.channels, scale_factor=2) for _ in range(steps)
        )

    def forward(self, inputs: Sequence[Tensor]) -> Tensor:
        """Predict the logits.

        Args:
            inputs (Sequence[Tensor]): Features of the backbone's stages, finest first.

        Returns:
            Tensor: (N, num_classes, H, W), of the size of the finest stage.
        """
        stages = self._transform_inputs(inputs)
        embedded = [conv(stage) for conv, stage in zip(self.convs, stages, strict=True)]
        fused = self.fusion_conv(torch.cat(self.upsample(embedded), dim=1))
        return self.cls_seg(fused)

    def upsample(self, embedded: Sequence[Tensor]) -> list[Tensor]:
        """Upsample all embedded stages, finest first, to the size of the first."""
        upsamplers = iter(self.upsamplers)
        upsampled = []
        for stage in reversed(range(len(embedded))):
            feature = embedded[stage]
            for guide in self._guides(stage):
                feature = next(upsamplers)(feature, embedded[guide])
            upsampled.append(feature)
        return upsampled[::-1]

    def _load_from_state_dict(self, state_dict, prefix, *args, **kwargs):
        # The name in the authors' segmentation-with-upsamplers.
        rename_keys(state_dict, prefix, {'upsample_modules': 'upsamplers'})
        super()._load_from_state_dict(state_dict, prefix, *args, **kwargs)

    def _guides(self, stage: int) -> range:
        """List the stages that guide the upsampling of a stage, down to the finest."""
        first = 0 if self.single_step else stage - 1
        return range(min(first, stage - 1), -1, -1)
