"""DySample: upsampling by dynamic sampling."""

from typing import Any

import torch
from sapa_ops import point_assemble
from torch import Tensor, nn

from .base import PointUpsampler
from .resize import fit, pixel_shuffle

STYLES = ('lp', 'pl')


class DySample(PointUpsampler):
    """DySample (Liu et al., ICCV 2023): x sampled at learned points near the bilinear ones.

    Not in the paper; the strongest later upsampler by the same authors. It needs no guide. State
    dicts of the authors' module can be loaded; their buffer ``init_pos`` is computed here.

    Args:
        in_channels (int): C, channels of x.
        guide_channels (int, optional): Unused. Defaults to None.
        scale_factor (int): s, the upsampling ratio. Defaults to 2.
        style (str): 'lp', offsets from a 1×1 convolution of x, then shuffled; or 'pl', from the
            shuffled x (C divisible by s²). Defaults to 'lp'.
        groups (int): Groups of channels with points of their own. Defaults to 4.
        dynamic_scope (bool): Whether the range of the offsets is learned, up to half a low-res
            pixel, instead of fixed at a quarter. Defaults to False.
        scope_bias (bool): Whether the convolution that learns it has a bias, as the authors' had
            until March 2024. Defaults to False.

    Raises:
        ValueError: If the style is unknown, a switch is not a boolean, scope_bias is on without
            dynamic_scope, or the groups or s² do not divide C.
    """

    name = 'dysample'
    title = 'DySample'
    _version = 1
    weights_of_options = {
        'scope.bias': 'dynamic_scope=True, scope_bias=True',
        'scope.weight': 'dynamic_scope=True',
    }
    counter_note = (
        'the formula has 8 for a bilinear sample, the counter its 4 multiply-adds and one for its '
        'weight'
    )

    def __init__(
        self,
        in_channels: int,
        guide_channels: int | None = None,
        scale_factor: int = 2,
        style: str = 'lp',
        groups: int = 4,
        dynamic_scope: bool = False,
        scope_bias: bool = False,
    ):
        super().__init__(in_channels, guide_channels, scale_factor)
        self.check_groups(in_channels, groups=groups)
        self.check_switch(dynamic_scope=dynamic_scope, scope_bias=scope_bias)
        if scope_bias and not dynamic_scope:
            self.fail('scope_bias=True needs dynamic_scope=True')
        if style not in STYLES:
            self.fail(f'style must be one of {", ".join(STYLES)}, got {style!r}')
        children = scale_factor**2
        if style == 'pl' and in_channels % children:
            self.fail(f"style='pl' needs in_channels divisible by {children}, got {in_channels}")
        self.style = style
        self.groups = groups
        channels = (in_channels, 2 * groups * children)
        if style == 'pl':
            channels = (in_channels // children, 2 * groups)
        self.offset = nn.Conv2d(*channels, 1)
        self.scope = nn.Conv2d(*channels, 1, bias=scope_bias) if dynamic_scope else None
        self.init_weights()

    def init_weights(self) -> None:
        """See ``Upsampler.init_weights``; offsets start near zero, scopes at a half."""
        nn.init.normal_(self.offset.weight, std=0.001)
        nn.init.zeros_(self.offset.bias)
        if self.scope is not None:
            for parameter in self.scope.parameters():
                nn.init.zeros_(parameter)

    def flops_per_position(self) -> int:
        """Its 1×1 convolutions and samples, counted as for SAPA-D in Table 1."""
        children, c = self.scale_factor**2, self.in_channels
        positions = children if self.style == 'pl' else 1
        convs = [conv for conv in (self.offset, self.scope) if conv is not None]
        offsets = sum(positions * conv.in_channels * conv.out_channels for conv in convs)
        return offsets + 8 * children * c

    def adapt_state_dict(self, state_dict: dict[str, Any], prefix: str) -> None:
        """See ``Upsampler.adapt_state_dict``; theirs have the initial points as a buffer."""
        super().adapt_state_dict(state_dict, prefix)
        found = state_dict.pop(f'{prefix}init_pos', None)
        if found is None or found.is_meta:
            return
        # Shapes alone do not tell scale 4 and 4 groups from scale 2 and 16 groups.
        scale, groups = self.scale_factor, self.groups
        steps = (torch.arange(scale) - (scale - 1) / 2) / scale
        axes = torch.stack([steps.repeat(scale), steps.repeat_interleave(scale)])
        expected = axes.repeat(1, groups).flatten()
        found = found.flatten().cpu().float()
        if found.shape != expected.shape or not torch.allclose(found, expected, atol=1e-2):
            self.fail(
                f'the initial points in the weights, {prefix}init_pos, do not match '
                f'scale_factor={scale} and groups={groups}'
            )

    def upsample(self, x: Tensor, guide: Tensor | None, size: tuple[int, int]) -> Tensor:
        """See ``Upsampler.forward``."""
        weight, offset = self.kernels(x, guide, size)
        return fit(point_assemble(weight, x, offset), size, self.scale_factor)

    def kernels(
        self, x: Tensor, guide: Tensor | None, size: tuple[int, int]
    ) -> tuple[Tensor, Tensor]:
        """See ``PointUpsampler.kernels``; always of size (s*h, s*w), one point per group."""
        offset = self.select_points(x)
        return offset.new_ones(x.shape[0], self.groups, 1, *offset.shape[2:]), offset

    def select_points(self, x: Tensor) -> Tensor:
        """Point selection from x.

        Args:
            x (Tensor): (N, C, h, w).

        Returns:
            Tensor: Offsets (N, g*2, s*h, s*w) from the low-res index, in low-res pixels; channels
            run group, (x, y). No point lies outside of x.
        """
        source = pixel_shuffle(x, self.scale_factor) if self.style == 'pl' else x
        offset = self.offset(source)
        if self.scope is None:
            offset = 0.25 * offset
        else:
            offset = 0.5 * offset * self.scope(source).sigmoid()
        if self.style == 'lp':
            offset = pixel_shuffle(offset, self.scale_factor)
        # The authors' channels run (x, y), group.
        offset = offset.unflatten(1, (2, self.groups))
        axes = [
            self._add_position(offset[:, 0], x.shape[3]),
            self._add_position(offset[:, 1].transpose(2, 3), x.shape[2]).transpose(2, 3),
        ]
        return torch.stack(axes, 2).flatten(1, 2)

    def _add_position(self, offset: Tensor, side: int) -> Tensor:
        """Adds the bilinear positions to offsets along the last axis; keeps points on the map."""
        high = torch.arange(side * self.scale_factor, device=offset.device)
        index = high // self.scale_factor
        # Computed from integers that every dtype represents exactly.
        twice = (2 * (high % self.scale_factor) + 1 - self.scale_factor).to(offset.dtype)
        bilinear = twice / (2 * self.scale_factor)
        lowest, highest = (-index).to(offset.dtype), (side - 1 - index).to(offset.dtype)
        return torch.maximum(torch.minimum(offset + bilinear, highest), lowest)
