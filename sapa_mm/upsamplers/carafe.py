"""CARAFE: content-aware reassembly of features."""

from torch import Tensor

from .kernel_prediction import init_kernel_prediction, kernel_prediction_convs, predict_kernels
from .window_upsampler import WindowUpsampler


class Carafe(WindowUpsampler):
    """CARAFE (Wang et al., ICCV 2019), on CPU and GPU, for any output size.

    Options and state dict keys are those of mmcv's ``CARAFEPack``.

    Args:
        in_channels (int): C, channels of x.
        guide_channels (int, optional): Unused but for the interface. Defaults to None.
        scale_factor (int): s, the ratio of upsampling. Defaults to 2.
        up_kernel (int): K, size of the assembly window; positive and odd. Defaults to 5.
        up_group (int): Channel groups with kernels of their own. Defaults to 1.
        encoder_kernel (int): Kernel size of the content encoder; odd. Defaults to 3.
        encoder_dilation (int): Its dilation. Defaults to 1.
        compressed_channels (int): Channels that the encoder sees. Defaults to 64.

    Raises:
        ValueError: If a kernel size is even or not positive, or the groups do not divide C.
    """

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
        """See :meth:`Upsampler.init_weights`."""
        init_kernel_prediction(self.channel_compressor, self.content_encoder)

    def generate_weights(self, x: Tensor, guide: Tensor | None, size: tuple[int, int]) -> Tensor:
        """See :meth:`WindowUpsampler.generate_weights`."""
        weight = predict_kernels(
            self.channel_compressor, self.content_encoder, x, self.scale_factor, size
        )
        return weight.unflatten(1, (self.groups, -1)).softmax(2).flatten(1, 2)
