"""What SAPA-I, SAPA-B and SAPA-D share."""

from torch import nn

from .base import Upsampler

_NUM_NORM_GROUPS = 32


class Sapa(Upsampler):
    """Base of the SAPA upsamplers: pre-normalisation, initialisation, authors' key names.

    Args:
        in_channels (int): C, channels of x.
        guide_channels (int, optional): C', channels of the guide. Defaults to ``in_channels``.
        scale_factor (int): Ratio of upsampling. Defaults to 2.
        pre_norm (bool): Whether x and guide go through GroupNorm(32) before the weights (and
            points) are generated; never the values. Section 3.7. Defaults to False.
        guided (bool): Whether there is a guide to normalise. Defaults to True.

    Raises:
        ValueError: If a switch is no boolean, or pre_norm is on and C or C' is not divisible by 32.
    """

    guided = True
    renamed_keys = {'q': 'query', 'k': 'key', 'norm_y': 'norm_guide'}

    def __init__(
        self,
        in_channels: int,
        guide_channels: int | None = None,
        scale_factor: int = 2,
        pre_norm: bool = False,
        guided: bool = True,
    ):
        super().__init__(in_channels, guide_channels, scale_factor)
        self.check_switch(pre_norm=pre_norm, guided=guided)
        self.guided = guided
        self.norm_x = self._norm('in_channels', self.in_channels, pre_norm)
        self.norm_guide = self._norm('guide_channels', self.guide_channels, pre_norm and guided)

    def _norm(self, name: str, channels: int, pre_norm: bool) -> nn.Module:
        if not pre_norm:
            return nn.Identity()
        if channels % _NUM_NORM_GROUPS:
            self.fail(f'pre_norm needs {name} divisible by {_NUM_NORM_GROUPS}, got {channels}')
        return nn.GroupNorm(_NUM_NORM_GROUPS, channels)

    def init_weights(self) -> None:
        """Initialises the 1×1 convolutions as the authors do: weights N(0, 0.02), biases 0."""
        for module in self.children():
            if isinstance(module, nn.Conv2d):
                nn.init.normal_(module.weight, std=0.02)
                nn.init.zeros_(module.bias)
