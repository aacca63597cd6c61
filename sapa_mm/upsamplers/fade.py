"""FADE: fusing the assets of decoder and encoder."""

import torch
from torch import Tensor, nn

from .base import Table1Row, WindowUpsampler
from .resize import nearest_resize


class Fade(WindowUpsampler):
    """FADE (Lu et al., ECCV 2022): kernels from both features by a semi-shift convolution.

    Call it as ``upsampler(x, guide)``, the low-res feature first. One convolution is
    applied to the compressed guide at high resolution and to the compressed x at low resolution;
    the sum gives the K×K kernel of each upsampled position. The paper's tables omit the gate.

    Args:
        in_channels (int): C, channels of x.
        guide_channels (int, optional): C', channels of the guide. Defaults to C.
        scale_factor (int): Unused; the guide sets the size. Defaults to 2.
        up_kernel (int): K, size of the assembly window; positive and odd. Defaults to 5.
        compressed_channels (int): d, input channels of the shared convolution. Defaults to 64.
        gate (bool): Whether a gate from x mixes the guide into the output,
            ``g * guide + (1 - g) * upsampled``; needs C' = C. Defaults to False.

    Raises:
        ValueError: If a number is out of range, gate is not a boolean, or it is on and C' is not C.
    """

    name = 'fade'
    title = 'FADE'
    guided = True
    counter_note = "the gate's products, 2s²C, are elementwise and not counted"
    renamed_keys = {
        'ker_generator.compressor_en': 'guide_compressor',
        'ker_generator.compressor_de': 'channel_compressor',
        'ker_generator.content_encoder': 'content_encoder',
        'kernel_generator.conv1_en': 'guide_compressor',
        'kernel_generator.conv1_de': 'channel_compressor',
        'kernel_generator.conv2_kernels': 'content_encoder.weight',
        'kernel_generator.conv2_bias': 'content_encoder.bias',
        'gate_generator.conv': 'gate',
    }
    weights_of_options = {'gate': 'gate=True'}
    table_1 = (Table1Row('5Cd + 45K²d + 4K²C', '2Cd + 9K²d'),)

    def __init__(
        self,
        in_channels: int,
        guide_channels: int | None = None,
        scale_factor: int = 2,
        up_kernel: int = 5,
        compressed_channels: int = 64,
        gate: bool = False,
    ):
        super().__init__(in_channels, guide_channels, scale_factor)
        self.check_kernel_size(up_kernel=up_kernel)
        self.check_positive(compressed_channels=compressed_channels)
        self.check_switch(gate=gate)
        if gate and self.guide_channels != in_channels:
            self.fail(
                f'gate needs guide_channels equal to in_channels, '
                f'got {self.guide_channels} and {in_channels}'
            )
        self.kernel_size = up_kernel
        self.guide_compressor = nn.Conv2d(self.guide_channels, compressed_channels, 1)
        self.channel_compressor = nn.Conv2d(in_channels, compressed_channels, 1, bias=False)
        self.content_encoder = nn.Conv2d(compressed_channels, up_kernel**2, 3, padding=1)
        self.gate = nn.Conv2d(in_channels, 1, 1) if gate else None
        self.init_weights()

    def init_weights(self) -> None:
        """Initialises all convolutions with Xavier's uniform distribution, and biases with 0.

        The SAPA authors' repository segmentation-with-upsamplers does the same.
        """
        for module in self.children():
            if isinstance(module, nn.Conv2d):
                nn.init.xavier_uniform_(module.weight)
                if module.bias is not None:
                    nn.init.zeros_(module.bias)

    def flops_per_position(self) -> int:
        """See ``Upsampler.flops_per_position``; the paper's formula has no gate."""
        c, d = self.in_channels, self.channel_compressor.out_channels
        children, taps = self.scale_factor**2, self.kernel_size**2
        compression = (c + children * self.guide_channels) * d
        # Its convolution of x, and its products with the guide and the upsampled x.
        gate = 0 if self.gate is None else c + 2 * children * c
        return compression + 9 * (1 + children) * taps * d + children * taps * c + gate

    def generate_weights(self, x: Tensor, guide: Tensor, size: tuple[int, int]) -> Tensor:
        """See ``WindowUpsampler.generate_weights``."""
        from_guide = self.content_encoder(self.guide_compressor(guide))
        from_x = self.content_encoder(self.channel_compressor(x))
        return (from_guide + nearest_resize(from_x, size)).softmax(1)

    def upsample(self, x: Tensor, guide: Tensor, size: tuple[int, int]) -> Tensor:
        """See ``Upsampler.forward``."""
        upsampled = super().upsample(x, guide, size)
        if self.gate is None:
            return upsampled
        gate = nearest_resize(torch.sigmoid(self.gate(x)), size)
        # Under autocast the guide may have another dtype.
        return upsampled + gate * (guide.to(upsampled.dtype) - upsampled)
