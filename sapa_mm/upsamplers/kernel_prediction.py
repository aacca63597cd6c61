"""CARAFE's kernel prediction, shared by CARAFE and the unguided SAPA-D."""

from torch import Tensor, nn

from .resize import nearest_resize, pixel_shuffle


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
        kernel_channels (int): Weights of one upsampled position, over all groups.
        scale_factor (int): s.
        encoder_kernel (int): Kernel size of the content encoder; odd. Defaults to 3.
        encoder_dilation (int): Its dilation. Defaults to 1.
        compressed_channels (int): Channels that the encoder sees. Defaults to 64.

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
        compressor (nn.Conv2d): From :func:`kernel_prediction_convs`.
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
        compressor (nn.Conv2d): From :func:`kernel_prediction_convs`.
        encoder (nn.Conv2d): Likewise.
        x (Tensor): (N, C, h, w).
        scale_factor (int): s.
        size (tuple[int, int]): H and W.

    Returns:
        Tensor: (N, kernel_channels, H, W), not normalised.
    """
    return nearest_resize(pixel_shuffle(encoder(compressor(x)), scale_factor), size)
