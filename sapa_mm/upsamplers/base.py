"""What all upsamplers share: the interface, the checks of its inputs, renamed checkpoint keys."""

from sapa_ops.backends import autocast_enabled
from torch import Tensor, nn


class Upsampler(nn.Module):
    """Upsamples a low-res feature, optionally under the guidance of a high-res one.

    The order of the inputs is ``upsampler(x, guide)``: first the low-res decoder feature that is
    upsampled, then the high-res encoder feature that guides. (The authors' repositories have it
    the other way round.) An upsampler stands where a decoder used to interpolate.

    Args:
        in_channels (int): C, channels of x.
        guide_channels (int, optional): C', channels of the guide. Defaults to ``in_channels``.
        scale_factor (int): Ratio of upsampling where no guide gives the size. Defaults to 2.

    Raises:
        ValueError: If a number is not a positive integer.

    Attributes:
        guided (bool): Whether the upsampler needs a guide. One that does not takes the output's
            size from a guide all the same.
        any_size (bool): Whether the size may be smaller than that of x, too.
    """

    guided: bool = False
    any_size: bool = False

    #: Parameter names in other people's checkpoints, and ours.
    renamed_keys: dict[str, str] = {}

    def __init__(self, in_channels: int, guide_channels: int | None = None, scale_factor: int = 2):
        super().__init__()
        guide_channels = in_channels if guide_channels is None else guide_channels
        self.check_positive(
            in_channels=in_channels, guide_channels=guide_channels, scale_factor=scale_factor
        )
        self.in_channels = in_channels
        self.guide_channels = guide_channels
        self.scale_factor = scale_factor

    def forward(self, x: Tensor, guide: Tensor | None = None) -> Tensor:
        """Upsamples x to the guide's size, or by ``scale_factor`` where there is no guide.

        Args:
            x (Tensor): Low-res feature (N, C, h, w), any floating point dtype, any layout.
            guide (Tensor, optional): High-res feature (N, C', H, W) with H >= h and W >= w
                (unless ``any_size``), of the dtype and device of x (dtypes may differ under
                autocast). Required if ``guided``. Defaults to None.

        Returns:
            Tensor: (N, C, H, W).

        Raises:
            ValueError: If a guide is missing, or shapes or devices do not fit.
            TypeError: If an input is no tensor, or the dtypes of x and guide differ outside
                autocast.
        """
        self._check_inputs(x, guide)
        if guide is None:
            size = (x.shape[2] * self.scale_factor, x.shape[3] * self.scale_factor)
        else:
            size = (guide.shape[2], guide.shape[3])
        return self.upsample(x, guide, size)

    def init_weights(self) -> None:
        """Initialises the weights, when built and, by mmengine, after a host's own initialisation.

        An upsampler that does not implement it keeps what its host, or torch, initialises.
        """

    def upsample(self, x: Tensor, guide: Tensor | None, size: tuple[int, int]) -> Tensor:
        """Upsamples checked inputs to the given (H, W); what a subclass implements."""
        raise NotImplementedError

    def fail(self, message: str, error: type[Exception] = ValueError) -> None:
        """Raises an error that names the upsampler."""
        raise error(f'{type(self).__name__}: {message}')

    def check_positive(self, **numbers: int) -> None:
        """Raises ValueError for a named number that is not a positive integer."""
        for name, number in numbers.items():
            if isinstance(number, bool) or not isinstance(number, int) or number < 1:
                self.fail(f'{name} must be a positive integer, got {number!r}')

    def check_switch(self, **switches: bool) -> None:
        """Raises ValueError for a named switch that is not True or False."""
        for name, switch in switches.items():
            if not isinstance(switch, bool):
                self.fail(f'{name} must be True or False, got {switch!r}')

    def check_kernel_size(self, **sizes: int) -> None:
        """Raises ValueError for a named kernel size that is not a positive odd integer."""
        self.check_positive(**sizes)
        for name, size in sizes.items():
            if size % 2 == 0:
                self.fail(f'{name} must be odd, got {size}')

    def check_groups(self, channels: int, **groups: int) -> None:
        """Raises ValueError for a named number of groups that does not divide the channels."""
        self.check_positive(**groups)
        for name, number in groups.items():
            if channels % number:
                self.fail(f'{name}={number} must divide the {channels} channels of x')

    def _check_inputs(self, x: Tensor, guide: Tensor | None) -> None:
        self._check_map('x', x, self.in_channels)
        if guide is None:
            if self.guided:
                self.fail('guide is required: call upsampler(x, guide) with the high-res feature')
            return
        self._check_map('guide', guide, self.guide_channels if self.guided else None)
        smaller = guide.shape[2] < x.shape[2] or guide.shape[3] < x.shape[3]
        if smaller and not self.any_size:
            self.fail(
                f'guide is smaller than x: (H, W) = {tuple(guide.shape[2:])} against '
                f'(h, w) = {tuple(x.shape[2:])}; inputs are upsampler(x, guide), low-res first'
            )
        if not self.guided:
            return
        if guide.shape[0] != x.shape[0]:
            self.fail(f'guide has batch size {guide.shape[0]}, x has {x.shape[0]}')
        if guide.device != x.device:
            self.fail(f'guide is on {guide.device}, x on {x.device}')
        if guide.dtype != x.dtype and not autocast_enabled(x.device.type):
            self.fail(f'guide is {guide.dtype}, x is {x.dtype}', TypeError)

    def _check_map(self, name: str, feature: Tensor, channels: int | None) -> None:
        if not isinstance(feature, Tensor):
            message = f'{name} must be a tensor (N, C, H, W), got a {type(feature).__name__}'
            self.fail(message, TypeError)
        if feature.dim() != 4:
            self.fail(f'{name} must be (N, C, H, W), got shape {tuple(feature.shape)}')
        if 0 in feature.shape[1:]:
            self.fail(f'{name} may be empty in the batch only, got shape {tuple(feature.shape)}')
        if channels is None:
            return
        if not feature.is_floating_point():
            self.fail(f'{name} must be floating point, got {feature.dtype}', TypeError)
        if feature.shape[1] != channels:
            self.fail(f'{name} must have {channels} channels, got {feature.shape[1]}')

    def _load_from_state_dict(self, state_dict, prefix, *args, **kwargs):
        for theirs, ours in self.renamed_keys.items():
            theirs, ours = f'{prefix}{theirs}', f'{prefix}{ours}'
            # The name of a module or of a parameter.
            for key in [key for key in state_dict if f'{key}.'.startswith(f'{theirs}.')]:
                state_dict[ours + key[len(theirs) :]] = state_dict.pop(key)
        super()._load_from_state_dict(state_dict, prefix, *args, **kwargs)
