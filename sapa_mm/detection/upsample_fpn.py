"""FPN with upsamplers in place of its interpolation."""

from collections.abc import Sequence
from typing import Any

import torch.nn.functional as F
from mmdet.models.necks import FPN
from mmdet.registry import MODELS
from mmengine.model import ModuleList
from sapa_ops.checks import shape
from torch import Tensor, nn

from ..upsamplers import build_upsampler
from ..upsamplers.state_dict import rename_keys


@MODELS.register_module()
class UpsampleFPN(FPN):
    """Feature pyramid whose top-down path upsamples with any upsampler.

    The guide of each step is the lateral that the result is added to, before the sum::

        laterals[i - 1] += upsamplers[i - 1](laterals[i], guide=laterals[i - 1])

    Four levels take three separate upsamplers (Panoptic FPN in Table 7). With 'nearest' the neck
    is the stock one.

    Args:
        in_channels (list[int]): Channels of each input.
        out_channels (int): Channels of each output, of the upsamplers and of their guides.
        num_outs (int): Number of outputs; extra levels are not part of the top-down path.
        start_level (int): First input that is used. Defaults to 0.
        end_level (int): Last input that is used; -1 is the last of all. Defaults to -1.
        upsample_cfg (dict, optional): Type and options of the upsampler, see
            ``sapa_mm.upsamplers.build_upsampler``. Defaults to ``dict(type='nearest')``.
        **kwargs: Other arguments of mmdet's ``FPN``: add_extra_convs, relu_before_extra_convs,
            no_norm_on_lateral, conv_cfg, norm_cfg, act_cfg, init_cfg.

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
        super().__init__(in_channels, out_channels, num_outs, start_level, end_level, **kwargs)
        self.upsample_cfg = dict(type='nearest') if upsample_cfg is None else upsample_cfg
        steps = len(self.lateral_convs) - 1
        # mmengine's ModuleList lets the upsamplers initialise themselves after FPN.
        self.upsamplers = ModuleList(
            build_upsampler(self.upsample_cfg, out_channels, out_channels) for _ in range(steps)
        )

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
        used = inputs[self.start_level : self.backbone_end_level]
        laterals = [conv(x) for conv, x in zip(self.lateral_convs, used, strict=True)]
        for level in range(len(laterals) - 1, 0, -1):
            guide = laterals[level - 1]
            laterals[level - 1] = guide + self.upsamplers[level - 1](laterals[level], guide)
        outs = [conv(x) for conv, x in zip(self.fpn_convs, laterals, strict=False)]
        return (*outs, *self._extra_levels(used[-1], laterals[-1], outs[-1]))

    def _load_from_state_dict(self, state_dict, prefix, *args, **kwargs):
        # The name in the authors' detection-with-upsamplers, which has an unused upsampler for each
        # extra level.
        steps = len(self.upsamplers)
        levels = range(steps, steps + len(self.fpn_convs) - len(self.lateral_convs))
        renamed = {f'upsample_modules.{level}': None for level in levels}
        rename_keys(state_dict, prefix, {**renamed, 'upsample_modules': 'upsamplers'})
        super()._load_from_state_dict(state_dict, prefix, *args, **kwargs)

    def _extra_levels(self, on_input: Tensor, on_lateral: Tensor, on_output: Tensor):
        """Compute the levels beyond the inputs, according to ``add_extra_convs``."""
        levels = self.num_outs - len(self.lateral_convs)
        if not self.add_extra_convs:
            for _ in range(levels):
                on_output = F.max_pool2d(on_output, 1, stride=2)
                yield on_output
            return
        sources = {'on_input': on_input, 'on_lateral': on_lateral, 'on_output': on_output}
        x = sources[self.add_extra_convs]
        for level in range(levels):
            if level > 0 and self.relu_before_extra_convs:
                x = F.relu(x)
            x = self.fpn_convs[len(self.lateral_convs) + level](x)
            yield x


def check_levels(
    neck: str, in_channels: Sequence[int], num_outs: int, start_level: int, end_level: int
) -> None:
    """Check the channels and levels of a neck.

    Args:
        neck (str): Name of the neck, for error messages.
        in_channels (Sequence[int]): Channels of each input.
        num_outs (int): Number of outputs.
        start_level (int): First input that is used.
        end_level (int): Last input that is used; -1 is the last of all.

    Raises:
        TypeError: If in_channels is not a list.
        ValueError: If a level does not exist, or num_outs does not suit the levels.
    """
    if not isinstance(in_channels, list):
        raise TypeError(f'{neck}: in_channels must be a list of int, got {in_channels!r}')
    num_ins = len(in_channels)
    if not 0 <= start_level < num_ins:
        raise ValueError(
            f'{neck}: start_level must be in 0..{num_ins - 1} for {num_ins} in_channels, '
            f'got {start_level}'
        )
    if end_level != -1 and not start_level <= end_level < num_ins:
        raise ValueError(
            f'{neck}: end_level must be -1 or in {start_level}..{num_ins - 1} for {num_ins} '
            f'in_channels and start_level={start_level}, got {end_level}'
        )
    last = num_ins - 1 if end_level == -1 else end_level
    used = last - start_level + 1
    if num_outs < used or (num_outs > used and last < num_ins - 1):
        allowed = f'{used}' if last < num_ins - 1 else f'{used} or more'
        raise ValueError(
            f'{neck}: num_outs must be {allowed} for the levels {start_level}..{last} of '
            f'{num_ins} in_channels, got {num_outs}'
        )


def check_inputs(neck: nn.Module, inputs: Sequence[Tensor]) -> None:
    """Check the input features of a neck.

    Args:
        neck (nn.Module): The neck, with ``in_channels``.
        inputs (Sequence[Tensor]): Features (N, C_i, H_i, W_i) of the backbone, finest first.

    Raises:
        ValueError: If their number or channels do not match in_channels.
    """
    got = [shape(feature)[1] for feature in inputs]
    if got != list(neck.in_channels):
        raise ValueError(
            f'{type(neck).__name__}: expects {len(neck.in_channels)} inputs with in_channels='
            f'{list(neck.in_channels)}, got {len(got)} inputs with {got} channels; compare '
            "the backbone's out_indices"
        )
