"""FPN_CARAFE with any upsampler."""

from collections.abc import Sequence
from typing import Any

from mmdet.models.necks import FPN_CARAFE
from mmdet.registry import MODELS
from mmengine.model import ModuleList
from torch import Tensor

from ..upsamplers import Bilinear, build_upsampler
from .upsample_fpn import check_inputs, check_levels


@MODELS.register_module()
class UpsampleFPNCARAFE(FPN_CARAFE):
    """CARAFE's feature pyramid with any upsampler.

    Unlike in FPN, the levels beyond the inputs (P6) come from convolutions of stride 2 and take
    part in the top-down path, so five outputs of four inputs take four upsamplers. The
    parameters in Tables 5 and 6 are those of this neck. The guide of each step is the lateral
    that the result is added to, before the sum::

        laterals[i - 1] += upsample_modules[i - 1](laterals[i], guide=laterals[i - 1])

    The paper pads images to a multiple of 64 (``pad_size_divisor``). With any other padding a level
    is doubled and cropped where the next one is odd (P6 of 7, P5 of 13), as in the stock neck.
    With 'nearest', 'bilinear' (its ``crop`` is on here), 'deconv', 'pixel_shuffle' and 'carafe' the
    neck equals the stock one; with 'carafe' the state dicts of both have the same keys.

    Args:
        in_channels (list[int]): Channels of each input.
        out_channels (int): Channels of each output, of the upsamplers and of their guides.
        num_outs (int): Number of outputs.
        start_level (int): First input that is used. Defaults to 0.
        end_level (int): Last input that is used; -1 is the last of all. Defaults to -1.
        upsample_cfg (dict, optional): Type and options of the upsampler, see
            ``sapa_mm.upsamplers.build_upsampler``. Defaults to ``dict(type='nearest')``.
        **kwargs: Other arguments of mmdet's ``FPN_CARAFE``: norm_cfg, act_cfg, order.

    Raises:
        TypeError: If in_channels is not a list, or upsample_cfg not a dict.
        ValueError: If the levels do not fit, or upsample_cfg's type or an option is unknown or
            does not fit the neck.
    """

    def __init__(
        self,
        in_channels: list[int],
        out_channels: int,
        num_outs: int,
        start_level: int = 0,
        end_level: int = -1,
        upsample_cfg: dict[str, Any] | None = None,
        **kwargs,
    ):
        check_levels(type(self).__name__, in_channels, num_outs, start_level, end_level)
        super().__init__(
            in_channels,
            out_channels,
            num_outs,
            start_level,
            end_level,
            # Replaced below: the stock neck accepts only mmcv's upsamplers.
            upsample_cfg=dict(type='nearest'),
            **kwargs,
        )
        self.upsample_cfg = dict(type='nearest') if upsample_cfg is None else upsample_cfg
        cfg = self.upsample_cfg
        if isinstance(cfg, dict) and cfg.get('type') in ('bilinear', Bilinear):
            cfg = {'crop': True, **cfg}
        self.upsample_modules = ModuleList(
            build_upsampler(cfg, out_channels, out_channels) for _ in self.upsample_modules
        )
        self.upsample = self.upsample_cfg['type']

    def init_weights(self) -> None:
        """Initialise the stock layers as the stock neck does, and each upsampler in its own way."""
        super().init_weights()
        for upsampler in self.upsample_modules:
            upsampler.init_weights()

    def forward(self, inputs: Sequence[Tensor]) -> tuple[Tensor, ...]:
        """Build the pyramid.

        Args:
            inputs (Sequence[Tensor]): Features (N, C_i, H_i, W_i) of the backbone, finest first.

        Returns:
            tuple[Tensor]: ``num_outs`` features with ``out_channels`` channels, finest first.

        Raises:
            ValueError: If the inputs do not fit in_channels.
        """
        check_inputs(self, inputs)
        laterals = self._laterals(inputs[self.start_level : self.backbone_end_level])
        for level in range(len(laterals) - 1, 0, -1):
            guide = laterals[level - 1]
            laterals[level - 1] = guide + self.upsample_modules[level - 1](laterals[level], guide)
        return tuple(conv(x) for conv, x in zip(self.fpn_convs, laterals, strict=True))

    def _laterals(self, inputs: Sequence[Tensor]) -> list[Tensor]:
        """Compute a lateral of each input, and extra ones by convolving the last input."""
        laterals = [conv(x) for conv, x in zip(self.lateral_convs, inputs, strict=False)]
        x = inputs[-1]
        for conv in self.lateral_convs[len(inputs) :]:
            x = conv(x)
            laterals.append(x)
        return laterals
