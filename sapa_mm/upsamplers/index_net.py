"""IndexNet: upsampling weighted by an index map from the guide."""

import torch
from torch import Tensor, nn

from .base import Table1Row, Upsampler
from .resize import nearest_resize, pad_to_even, shuffle

VARIANTS = ('hin', 'm2o')
HIDDEN_RATIOS = (1, 2)


class IndexNet(Upsampler):
    """IndexNet (Lu et al., ICCV 2019), with context and nonlinearity.

    Call it as ``upsampler(x, guide)``, the low-res feature first. The output is the nearest
    upsampling of x times an index map in (0, 1) that is predicted from the guide: one map for all
    channels ('hin', the holistic index network of most tables) or one for each ('m2o', the
    many-to-one depthwise index network with dense convolutions, for matting). In training its
    BatchNorm needs more than one value per channel: several images, or a guide larger than 2×2.

    Args:
        in_channels (int): C, channels of x.
        guide_channels (int, optional): C', channels of the guide; with 'm2o' it must be C.
            Defaults to C.
        scale_factor (int): 2, the ratio that IndexNet is defined for. Defaults to 2.
        variant (str): 'hin' or 'm2o'. Defaults to 'hin'.
        hidden_ratio (int): Of 'm2o', 1 or 2: the width between the convolutions of a block is so
            many times C. 1 is IndexNet's own; Table 8 has the parameters of 2, as 'hin' always has.
            Defaults to 1.

    Raises:
        ValueError: If scale_factor is not 2, the variant is unknown, it is 'm2o' and C' differs
            from C, or hidden_ratio is neither 1 nor 2, or 2 without 'm2o'.
    """

    name = 'index_net'
    title = 'IndexNet'
    guided = True
    counter_note = 'the product with the index map, 4C, is elementwise and not counted'
    renamed_keys = {
        'indexnet': 'index_blocks.0',
        'indexnet1': 'index_blocks.0',
        'indexnet2': 'index_blocks.1',
        'indexnet3': 'index_blocks.2',
        'indexnet4': 'index_blocks.3',
    }
    table_1 = (
        Table1Row('32C² + 12C', '32C² + 8C', 'HIN'),
        Table1Row('68C² + 4C', '68C²', 'M2O', dict(variant='m2o')),
    )

    def __init__(
        self,
        in_channels: int,
        guide_channels: int | None = None,
        scale_factor: int = 2,
        variant: str = 'hin',
        hidden_ratio: int = 1,
    ):
        super().__init__(in_channels, guide_channels, scale_factor)
        if scale_factor != 2:
            self.fail(f'scale_factor must be 2, got {scale_factor}')
        if variant not in VARIANTS:
            self.fail(f'variant must be one of {", ".join(VARIANTS)}, got {variant!r}')
        if variant == 'm2o' and self.guide_channels != in_channels:
            self.fail(
                f"variant='m2o' needs guide_channels equal to in_channels, "
                f'got {self.guide_channels} and {in_channels}'
            )
        if hidden_ratio not in HIDDEN_RATIOS:
            self.fail(f'hidden_ratio must be 1 or 2, got {hidden_ratio!r}')
        if hidden_ratio != 1 and variant != 'm2o':
            self.fail(f"hidden_ratio={hidden_ratio} needs variant='m2o', got {variant!r}")
        self.variant = variant
        self.hidden_ratio = hidden_ratio
        if variant == 'hin':
            blocks = [self._index_block(2 * self.guide_channels, 4)]
        else:
            hidden_channels = hidden_ratio * in_channels
            blocks = [self._index_block(hidden_channels, in_channels) for _ in range(4)]
        self.index_blocks = nn.ModuleList(blocks)

    def _index_block(self, hidden_channels: int, out_channels: int) -> nn.Sequential:
        return nn.Sequential(
            nn.Conv2d(
                self.guide_channels,
                hidden_channels,
                4,
                stride=2,
                padding=1,
                bias=False,
            ),
            nn.BatchNorm2d(hidden_channels),
            nn.ReLU6(inplace=True),
            nn.Conv2d(hidden_channels, out_channels, 1, bias=False),
        )

    def flops_per_position(self) -> int:
        """See ``Upsampler.flops_per_position``."""
        guide = self.guide_channels
        if self.variant == 'hin':
            index_map = 32 * guide**2 + 8 * guide
        else:
            index_map = 68 * self.hidden_ratio * guide**2
        return index_map + 4 * self.in_channels

    def upsample(self, x: Tensor, guide: Tensor, size: tuple[int, int]) -> Tensor:
        """See ``Upsampler.forward``."""
        return self.index_map(guide, size) * nearest_resize(x, size)

    def index_map(self, guide: Tensor, size: tuple[int, int]) -> Tensor:
        """The weights that the nearest upsampling is multiplied by.

        Args:
            guide (Tensor): (N, C', H, W).
            size (tuple[int, int]): H and W.

        Returns:
            Tensor: (N, 1, H, W), with 'm2o' (N, C, H, W); in (0, 1).
        """
        padded = pad_to_even(guide)
        logits = [block(padded) for block in self.index_blocks]
        # (N, 1 or C, 4, H / 2, W / 2)
        children = logits[0][:, None] if self.variant == 'hin' else torch.stack(logits, 2)
        return shuffle(children.sigmoid(), size)
