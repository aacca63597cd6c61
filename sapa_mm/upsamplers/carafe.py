"""CARAFE: content-aware reassembly of features."""

from torch import Tensor, nn

from .base import Table1Row, WindowUpsampler
from .resize import nearest_resize, pixel_shuffle


class Carafe(WindowUpsampler):
    """CARAFE (Wang et al., ICCV 2019), on CPU and GPU, for any output size.

    Options and state dict keys are those of mmcv's ``CARAFEPack``.

    Args:
        in_channels (int): C, channels of x.
        guide_channels (int, optional): Unused. Defaults to None.
        scale_factor (int): s, the upsampling ratio. Defaults to 2.
        up_kernel (int): K, size of the assembly window; positive and odd. Defaults to 5.
        up_group (int): Channel groups with kernels of their own. Defaults to 1.
        encoder_kernel (int): Kernel size of the content encoder; odd. Defaults to 3.
        encoder_dilation (int): Its dilation. Defaults to 1.
        compressed_channels (int): Input channels of the encoder. Defaults to 64.

    Raises:
        ValueError: If a kernel size is even or not positive, or the groups do not divide C.
    """

    name = 'carafe'
    title = 'CARAFE'
    in_mmcv = True
    table_1 = (Table1Row('Cd + 36K²d + 4K²C', 'Cd + 36K²d'),)

    def __init__(
        self,
        in_channels: int,
        guide_channels: int | None = None,
        scale_factor: int = 2,
        up_kernel: int = 5,
        up_group: int = 1,
        encoder_kernel: int = 3,
        encoder_dilation: int = 1,
        compressed_channels: int = 64,
    ):
        super().__init__(in_channels, guide_channels, scale_factor)
        self.check_kernel_size(up_kernel=up_kernel, encoder_kernel=encoder_kernel)
        self.check_groups(in_channels, up_group=up_group)
        self.check_positive(
            encoder_dilation=encoder_dilation, compressed_channels=compressed_channels
        )
        self.kernel_size = up_kernel
        self.groups = up_group
        self.channel_compressor, self.content_encoder = kernel_prediction_convs(
            in_channels,
            up_group * up_kernel**2,
            scale_factor,
            encoder_kernel,
            encoder_dilation,
            compressed_channels,
        )
        self.init_weights()

    def init_weights(self) -> None:
        """See ``Upsampler.init_weights``."""
        init_kernel_prediction(self.channel_compressor, self.content_encoder)

    def flops_per_position(self) -> int:
        """See ``Upsampler.flops_per_position``."""
        prediction = self.channel_compressor.weight.numel() + self.content_encoder.weight.numel()
        return prediction + self.scale_factor**2 * self.kernel_size**2 * self.in_channels

    def generate_weights(self, x: Tensor, guide: Tensor | None, size: tuple[int, int]) -> Tensor:
        """See ``WindowUpsampler.generate_weights``."""
        weight = predict_kernels(
            self.channel_compressor, self.content_encoder, x, self.scale_factor, size
        )
        return weight.unflatten(1, (self.groups, -1)).softmax(2).flatten(1, 2)


def kernel_prediction_convs(
    in_channels: int,
    kernel_channels: int,
    scale_factor: int,
    encoder_kernel: int = 3,
    encoder_dilation: int = 1,
    compressed_channels: int = 64,
) -> tuple[nn.Conv2d, nn.Conv2d]:
    """Builds the channel compressor and the content encoder.

    Args:
        in_channels (int): C, channels of x.
        kernel_channels (int): Kernel weights per upsampled position, of all groups.
        scale_factor (int): s.
        encoder_kernel (int): Kernel size of the content encoder; odd. Defaults to 3.
        encoder_dilation (int): Its dilation. Defaults to 1.
        compressed_channels (int): Input channels of the encoder. Defaults to 64.

    Returns:
        tuple[nn.Conv2d, nn.Conv2d]: Compressor and encoder.
    """
    compressor = nn.Conv2d(in_channels, compressed_channels, 1)
    encoder = nn.Conv2d(
        compressed_channels,
        kernel_channels * scale_factor**2,
        encoder_kernel,
        padding=encoder_dilation * (encoder_kernel // 2),
        dilation=encoder_dilation,
    )
    return compressor, encoder


def init_kernel_prediction(compressor: nn.Conv2d, encoder: nn.Conv2d) -> None:
    """Initialises as mmcv's ``CARAFEPack`` does: Xavier, the encoder N(0, 0.001), biases 0.

    Args:
        compressor (nn.Conv2d): From ``kernel_prediction_convs``.
        encoder (nn.Conv2d): Likewise.
    """
    nn.init.xavier_uniform_(compressor.weight)
    nn.init.normal_(encoder.weight, std=0.001)
    nn.init.zeros_(compressor.bias)
    nn.init.zeros_(encoder.bias)


def predict_kernels(
    compressor: nn.Conv2d, encoder: nn.Conv2d, x: Tensor, scale_factor: int, size: tuple[int, int]
) -> Tensor:
    """Predicts a kernel for each upsampled position from the low-res feature alone.

    Args:
        compressor (nn.Conv2d): From ``kernel_prediction_convs``.
        encoder (nn.Conv2d): Likewise.
        x (Tensor): (N, C, h, w).
        scale_factor (int): s.
        size (tuple[int, int]): H and W.

    Returns:
        Tensor: (N, kernel_channels, H, W), not normalised.
    """
    encoded = pixel_shuffle(encoder(compressor(x)), scale_factor)
    return nearest_resize(encoded, size, scale_factor)
