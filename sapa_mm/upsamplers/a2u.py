"""A2U: affinity-aware upsampling."""

import math
from contextlib import nullcontext
from typing import Any

import torch
import torch.nn.functional as F
from sapa_ops import autocast
from torch import Tensor, nn

from .base import Table1Row, WindowUpsampler
from .resize import is_traced, pad_to_even, shuffle

_FILTER_SIZE = 6


class A2U(WindowUpsampler):
    """A2U (Dai et al., CVPR 2021): kernels from the guide alone, shared by all channels.

    Call it as ``upsampler(x, guide)``, the low-res feature first. Two filters, predicted
    for each image, extract second-order features of the guide at low resolution; their product, the
    affinity, and a global descriptor make the 3×3 kernels. The guide's GroupNorm has 32 groups, or
    one if 32 does not divide C'; like any GroupNorm, it needs more than one value per group. What
    ``torch.jit.trace`` records is for any size, but for one batch size.

    Args:
        in_channels (int): C, channels of x.
        guide_channels (int, optional): C', channels of the guide. Defaults to C.
        scale_factor (int): 2, the ratio that A2U is defined for. Defaults to 2.

    Raises:
        ValueError: If scale_factor is not 2.
    """

    name = 'a2u'
    title = 'A2U'
    guided = True
    counter_note = (
        "C + 4K², the sum of the affinity's products and its product with the descriptor, are "
        'elementwise and not counted; 108C for each image, the convolutions of the pooled guide, '
        'are counted and not in the formula'
    )
    renamed_keys = {
        f'{parent}{theirs}': ours
        for theirs, ours in {
            'bnu.0': 'norms.0',
            'bnv.0': 'norms.1',
            'bconv_UP.1': 'descriptor',
            'bconv_U.1': 'filters.0',
            'bconv_V.1': 'filters.1',
            # It makes the kernels of their downsampling.
            'bconv_DP.1': None,
        }.items()
        for parent in ('', 'kernel_gen.')
    }
    table_1 = (Table1Row('73C + 4K² + 4K²C', '4K²C + 2C'),)
    kernel_size = 3

    def __init__(self, in_channels: int, guide_channels: int | None = None, scale_factor: int = 2):
        super().__init__(in_channels, guide_channels, scale_factor)
        if scale_factor != 2:
            self.fail(f'scale_factor must be 2, got {scale_factor}')
        groups = 32 if self.guide_channels % 32 == 0 else 1
        self.filters = nn.Conv2d(self.guide_channels, 2, 1)
        self.norms = nn.ModuleList(nn.GroupNorm(groups, self.guide_channels) for _ in range(2))
        self.descriptor = nn.Conv2d(self.guide_channels, 4 * self.kernel_size**2, 1)

    def flops_per_position(self) -> int:
        """See ``Upsampler.flops_per_position``."""
        return 73 * self.guide_channels + 36 + 36 * self.in_channels

    def adapt_state_dict(self, state_dict: dict[str, Any], prefix: str) -> None:
        """See ``Upsampler.adapt_state_dict``; theirs are two convolutions, one for each filter."""
        super().adapt_state_dict(state_dict, prefix)
        for name in ('weight', 'bias'):
            both = [f'{prefix}filters.{number}.{name}' for number in range(2)]
            if {*both} <= state_dict.keys():
                filters = torch.cat([state_dict.pop(key) for key in both])
                state_dict[f'{prefix}filters.{name}'] = filters

    def generate_weights(self, x: Tensor, guide: Tensor, size: tuple[int, int]) -> Tensor:
        """See ``WindowUpsampler.generate_weights``."""
        kernels = self.filters(F.adaptive_avg_pool2d(guide, _FILTER_SIZE))
        affinity = self._affinity(pad_to_even(guide), kernels).to(kernels.dtype)
        descriptor = self.descriptor(F.adaptive_avg_pool2d(guide, 1))
        logits = shuffle((descriptor * affinity).unflatten(1, (-1, 4)), size)
        return logits.sigmoid().softmax(1)

    def _affinity(self, guide: Tensor, kernels: Tensor) -> Tensor:
        """(N, 1, H / 2, W / 2); at least float32, because it grows with the square of the guide."""
        dtype = torch.promote_types(guide.dtype, torch.float32)
        device = guide.device.type
        with torch.autocast(device, enabled=False) if autocast.enabled(device) else nullcontext():
            filtered = _filter(guide.to(dtype), kernels.to(dtype)).unbind(1)
            first, second = (
                F.leaky_relu(_normalise(norm, feature), 0.01)  # type: ignore[arg-type]
                for norm, feature in zip(self.norms, filtered, strict=True)
            )
            return (first * second).sum(1, keepdim=True) / math.sqrt(self.guide_channels)


def _normalise(norm: nn.GroupNorm, feature: Tensor) -> Tensor:
    weight, bias = (parameter.to(feature.dtype) for parameter in (norm.weight, norm.bias))
    return F.group_norm(feature, norm.num_groups, weight, bias, norm.eps)


def _filter(feature: Tensor, kernels: Tensor) -> Tensor:
    """Filters all channels of each image with that image's own kernels, at stride 2.

    Args:
        feature (Tensor): (N, C, H + 1, W + 1), see ``pad_to_even``.
        kernels (Tensor): (N, M, 6, 6).

    Returns:
        Tensor: (N, M, C, ceil(H / 2), ceil(W / 2)).
    """
    if not is_traced() and feature.shape[0] == 0:
        return feature.new_zeros(*kernels.shape[:2], *F.avg_pool2d(feature, 2).shape[1:])
    # One convolution: images are its groups, channels its batch.
    filtered = F.conv2d(
        feature.transpose(0, 1),
        kernels.flatten(0, 1)[:, None],
        stride=2,
        padding=2,
        groups=feature.shape[0],
    )
    return filtered.unflatten(1, kernels.shape[:2]).permute(1, 2, 0, 3, 4)
