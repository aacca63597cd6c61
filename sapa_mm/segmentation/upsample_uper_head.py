"""UPerNet's head with upsamplers in its top-down path."""

from collections.abc import Sequence
from typing import Any

import torch
from mmengine.model import ModuleList
from mmseg.models.decode_heads import UPerHead
from mmseg.models.utils import resize
from mmseg.registry import MODELS
from torch import Tensor

from ..upsamplers import Bilinear, build_upsampler
from ..upsamplers.state_dict import rename_keys


@MODELS.register_module()
class UpsampleUPerHead(UPerHead):
    """UPerNet's head whose top-down path upsamples with any upsampler.

    The guide of each step is the lateral that the result is added to, before the sum::

        laterals[i - 1] += upsamplers[i - 1](laterals[i], guide=laterals[i - 1])

    Four levels take three separate upsamplers (Table 4). At the end all levels are resized to the
    finest by bilinear interpolation, as in the stock head. With 'bilinear' the head is
    the stock one.

    Args:
        upsample_cfg (dict, optional): Type and options of the upsampler, see
            ``sapa_mm.upsamplers.build_upsampler``. Defaults to ``dict(type='bilinear')``.
        **kwargs: Arguments of mmseg's ``UPerHead``.

    Raises:
        TypeError: If upsample_cfg is not a dict.
        ValueError: If upsample_cfg's type or an option is unknown or does not fit the head.
    """

    def __init__(self, upsample_cfg: dict[str, Any] | None = None, **kwargs):
        super().__init__(**kwargs)
        cfg = dict(type='bilinear') if upsample_cfg is None else upsample_cfg
        if isinstance(cfg, dict) and cfg.get('type') in ('bilinear', Bilinear):
            cfg = {'align_corners': self.align_corners, **cfg}
        self.upsamplers = ModuleList(
            build_upsampler(cfg, self.channels, self.channels) for _ in self.lateral_convs
        )

    def _load_from_state_dict(self, state_dict, prefix, *args, **kwargs):
        # The name in the authors' segmentation-with-upsamplers.
        rename_keys(state_dict, prefix, {'upsample_modules': 'upsamplers'})
        super()._load_from_state_dict(state_dict, prefix, *args, **kwargs)

    def _forward_feature(self, inputs: Sequence[Tensor]) -> Tensor:
        inputs = self._transform_inputs(inputs)
        laterals = [
            conv(feature) for conv, feature in zip(self.lateral_convs, inputs[:-1], strict=True)
        ]
        laterals.append(self.psp_forward(inputs))
        for level in range(len(laterals) - 1, 0, -1):
            guide = laterals[level - 1]
            laterals[level - 1] = guide + self.upsamplers[level - 1](laterals[level], guide)

        outs = [conv(feature) for conv, feature in zip(self.fpn_convs, laterals[:-1], strict=True)]
        outs.append(laterals[-1])
        finest = outs[0].shape[2:]
        outs[1:] = [
            resize(out, size=finest, mode='bilinear', align_corners=self.align_corners)
            for out in outs[1:]
        ]
        return self.fpn_bottleneck(torch.cat(outs, dim=1))
