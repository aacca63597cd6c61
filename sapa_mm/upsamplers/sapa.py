"""Base classes of SAPA-I, SAPA-B and SAPA-D."""

import math
from typing import Any

import torch
import torch.nn.functional as F
from sapa_ops import window_similarity
from torch import Tensor, nn

from .base import Upsampler, WindowUpsampler

SIMILARITY_NORMS = ('softmax', 'none', 'relu', 'sigmoid', 'softplus')

_NUM_NORM_GROUPS = 32


class Sapa(Upsampler):
    """Base of the SAPA upsamplers: pre-normalisation, initialisation, the authors' key names.

    Args:
        in_channels (int): C, channels of x.
        guide_channels (int, optional): C', channels of the guide. Defaults to ``in_channels``.
        scale_factor (int): Upsampling ratio. Defaults to 2.
        pre_norm (bool): Whether x and guide pass GroupNorm(32) before the weights (and points)
            are generated; the values are never normalised. Section 3.7. Defaults to False.
        guided (bool): Whether there is a guide to normalise. Defaults to True.
        temperature (float): What similarities are divided by before they are normalised, such as
            the √d of attention; the paper has none. Defaults to 1.

    Raises:
        ValueError: If a switch is not a boolean, temperature is not positive, or pre_norm is on and
            32 does not divide C or C'.
    """

    guided = True
    renamed_keys = {'q': 'query', 'k': 'key', 'norm_y': 'norm_guide'}
    weights_of_options = {'norm_x': 'pre_norm=True', 'norm_guide': 'pre_norm=True'}

    def __init__(
        self,
        in_channels: int,
        guide_channels: int | None = None,
        scale_factor: int = 2,
        pre_norm: bool = False,
        guided: bool = True,
        temperature: float = 1.0,
    ):
        super().__init__(in_channels, guide_channels, scale_factor)
        self.check_switch(pre_norm=pre_norm, guided=guided)
        is_number = isinstance(temperature, (int, float)) and not isinstance(temperature, bool)
        if not (is_number and 0 < temperature < math.inf):
            self.fail(f'temperature must be a positive number, got {temperature!r}')
        self.guided = guided
        self.temperature = temperature
        self.norm_x = self._norm('in_channels', self.in_channels, pre_norm)
        self.norm_guide = self._norm('guide_channels', self.guide_channels, pre_norm and guided)

    def _norm(self, name: str, channels: int, pre_norm: bool) -> nn.Module:
        if not pre_norm:
            return nn.Identity()
        if channels % _NUM_NORM_GROUPS:
            self.fail(f'pre_norm needs {name} divisible by {_NUM_NORM_GROUPS}, got {channels}')
        return nn.GroupNorm(_NUM_NORM_GROUPS, channels)

    def scale_query(self, query: Tensor) -> Tensor:
        """Divides the queries, and with them all similarities, by the temperature."""
        return query if self.temperature == 1 else query / self.temperature

    def init_weights(self) -> None:
        """Initialises the 1×1 convolutions as the authors do: weights N(0, 0.02), biases 0."""
        for module in self.children():
            if isinstance(module, nn.Conv2d):
                nn.init.normal_(module.weight, std=0.02)
                nn.init.zeros_(module.bias)

    def adapt_state_dict(self, state_dict: dict[str, Any], prefix: str) -> None:
        """See ``Upsampler.adapt_state_dict``."""
        # The authors' modules can be built without biases (qkv_bias=False).
        first = [f'{prefix}{conv}' for conv in ('q', 'k')]
        if all(f'{c}.weight' in state_dict and f'{c}.bias' not in state_dict for c in first):
            for conv in (*first, f'{prefix}offset'):
                if (weight := state_dict.get(f'{conv}.weight')) is not None:
                    state_dict.setdefault(f'{conv}.bias', weight.new_zeros(len(weight)))
        super().adapt_state_dict(state_dict, prefix)


class WindowSapa(Sapa, WindowUpsampler):
    """SAPA over a fixed window: the base of SAPA-I and SAPA-B.

    Args:
        in_channels (int): C, channels of x.
        guide_channels (int, optional): C', channels of the guide. Defaults to ``in_channels``.
        scale_factor (int): Upsampling ratio. Defaults to 2.
        kernel_size (int): K, size of the window; positive and odd. Defaults to 5.
        pre_norm (bool): See ``Sapa``. Defaults to False.
        similarity_norm (str): Normalisation of the similarity, 'softmax', 'none', 'relu',
            'sigmoid' or 'softplus' (Table 10). Defaults to 'softmax'.
        groups (int): g, groups of channels with kernels of their own. Defaults to 1.
        temperature (float): See ``Sapa``. Defaults to 1.

    Raises:
        ValueError: If an option is out of range.
    """

    def __init__(
        self,
        in_channels: int,
        guide_channels: int | None = None,
        scale_factor: int = 2,
        kernel_size: int = 5,
        pre_norm: bool = False,
        similarity_norm: str = 'softmax',
        groups: int = 1,
        temperature: float = 1.0,
    ):
        super().__init__(
            in_channels, guide_channels, scale_factor, pre_norm, temperature=temperature
        )
        self.check_kernel_size(kernel_size=kernel_size)
        if similarity_norm not in SIMILARITY_NORMS:
            known = ', '.join(SIMILARITY_NORMS)
            self.fail(f'similarity_norm must be one of {known}, got {similarity_norm!r}')
        self.check_groups(in_channels, groups=groups)
        self.kernel_size = kernel_size
        self.groups = groups
        self.similarity_norm = similarity_norm

    def embed(self, x: Tensor, guide: Tensor) -> tuple[Tensor, Tensor]:
        """Query (N, g*D, H, W) from the guide and key (N, g*D, h, w) from x."""
        return guide, x

    def generate_weights(self, x: Tensor, guide: Tensor, size: tuple[int, int]) -> Tensor:
        """See ``WindowUpsampler.generate_weights``."""
        query, key = self.embed(self.norm_x(x), self.norm_guide(guide))
        query = self.scale_query(query)
        softmax = self.similarity_norm == 'softmax'
        similarity = window_similarity(query, key, self.kernel_size, self.groups, softmax)
        if softmax:
            return similarity
        taps = similarity.unflatten(1, (self.groups, -1))
        return normalize_similarity(taps, self.similarity_norm, dim=2).flatten(1, 2)


def normalize_similarity(similarity: Tensor, similarity_norm: str, dim: int) -> Tensor:
    """Turns similarities into the weights of a kernel.

    ``h(sim) / sum(h(sim))``, where h is the exponential for 'softmax', else the named function;
    'none' leaves the similarities unchanged. A kernel whose h is 0 everywhere (relu) stays 0.

    Args:
        similarity (Tensor): Similarities, any shape.
        similarity_norm (str): One of ``SIMILARITY_NORMS``.
        dim (int): The dimension of the points of one kernel.

    Returns:
        Tensor: Weights of the same shape.
    """
    if similarity_norm == 'softmax':
        return similarity.softmax(dim)
    if similarity_norm == 'none':
        return similarity
    positive = getattr(F, similarity_norm)(similarity)
    total = positive.sum(dim, keepdim=True)
    return positive / total.clamp_min(torch.finfo(total.dtype).tiny)
