"""Base classes of the upsamplers: all, those over a fixed window, those over selected points."""

from dataclasses import dataclass, field
from typing import Any

import torch
from sapa_ops import autocast, window_assemble
from sapa_ops.checks import check_positive, shape
from torch import Tensor, nn

from .state_dict import rename_keys


@dataclass(frozen=True)
class Table1Row:
    """A row of the paper's Table 1: totals per low-res position, as printed.

    C is the number of channels of x and guide, d that of the embedding, K the side of the window,
    S the number of points and g the number of groups.

    Attributes:
        flops (str): Multiply-adds.
        params (str): Parameters, without biases and normalisations.
        variant (str): Suffix of the upsampler's title. Defaults to ''.
        options (dict[str, Any]): Options that build the variant. Defaults to none.
    """

    flops: str
    params: str
    variant: str = ''
    options: dict[str, Any] = field(default_factory=dict)


class Upsampler(nn.Module):
    """Upsamples a low-res feature, optionally under the guidance of a high-res one.

    The order of the inputs is ``upsampler(x, guide)``: first the low-res decoder feature that is
    upsampled, then the high-res encoder feature that guides. (The authors' repositories have it
    the other way round.) It replaces the interpolation in a decoder.

    Args:
        in_channels (int): C, channels of x.
        guide_channels (int, optional): C', channels of the guide. Defaults to ``in_channels``.
        scale_factor (int): Upsampling ratio if there is no guide to set the size. Defaults to 2.

    Raises:
        ValueError: If a number is not a positive integer.

    Attributes:
        name (str | None): The ``type`` in an ``upsample_cfg``, such as 'sapa_d', for the upsamplers
            of this package. A class defined elsewhere needs none: its type is its name in
            mmengine's ``MODELS``. Not inherited. Defaults to None.
        title (str): What tables and figures call it, such as 'SAPA-D'. Not inherited. Defaults to
            the name of the class.
        in_mmcv (bool): Whether mmcv registers an upsampler of this name. mmcv's then stays
            registered; ours is equivalent and also runs on the CPU. Not inherited. Defaults to
            False.
        guided (bool): Whether the upsampler needs a guide. Otherwise a guide only sets the
            output size. Defaults to False.
        any_size (bool): Whether the output may also be smaller than x. Defaults to False.
        renamed_keys (dict[str, str | None]): Maps the names of modules and parameters in other
            projects' checkpoints to ours, or to None where they have no effect. Defaults to none.
        weights_of_options (dict[str, str]): Modules and parameters that only an option makes, and
            the option, such as ``{'gate': 'gate=True'}``. Weights that have them do not load
            without it, strictly or not. Defaults to none.
        counter_note (str): Why the counted multiply-adds of a forward pass differ from
            ``flops_per_position``, if they do.
        table_1 (tuple[Table1Row, ...]): Its rows in the paper's Table 1. Not inherited. Defaults
            to none.
    """

    name: str | None = None
    title: str = 'Upsampler'
    in_mmcv: bool = False
    guided: bool = False
    any_size: bool = False
    renamed_keys: dict[str, str | None] = {}
    weights_of_options: dict[str, str] = {}
    counter_note: str = 'the formula is for an output of s times the size'
    table_1: tuple[Table1Row, ...] = ()

    # torch keeps it in state dicts. At odd sizes the parent of a high-res position follows from
    # pixel centres in 1, from the stride in 2; see `sapa_ops.geometry.lowres_index`. Classes for
    # which both give the same by two stay at 1.
    _version = 2

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        # Subclasses do not inherit what identifies an upsampler.
        own = {'name': None, 'title': cls.__name__, 'in_mmcv': False, 'table_1': ()}
        for attribute, default in own.items():
            if attribute not in vars(cls):
                setattr(cls, attribute, default)

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
        """Upsamples x to the guide's size, or by ``scale_factor`` without a guide.

        Args:
            x (Tensor): Low-res feature (N, C, h, w), any floating point dtype, any layout.
            guide (Tensor, optional): High-res feature (N, C', H, W) with H >= h and W >= w
                (unless ``any_size``), of the dtype and device of x (dtypes may differ under
                autocast). Required if ``guided``. Defaults to None.

        Returns:
            Tensor: (N, C, H, W), channels_last where x is (a compiler and the transforms of
            ``torch.func`` choose their own layout).

        Raises:
            ValueError: If a guide is missing, or shapes or devices do not fit.
            TypeError: If an input is not a tensor, or the dtypes of x and guide differ outside
                autocast.
        """
        self._check_inputs(x, guide)
        if guide is None:
            size = (x.shape[2] * self.scale_factor, x.shape[3] * self.scale_factor)
        else:
            size = (guide.shape[2], guide.shape[3])
        out = self.upsample(x, guide, size)
        # A compiler chooses its own layout, and vmap knows no channels_last.
        if torch.compiler.is_compiling() or torch._C._are_functorch_transforms_active():
            return out
        # (A cropped map is channels_last too, and `contiguous` would copy it.)
        if not self._is_channels_last(x) or self._is_channels_last(out):
            return out
        return out.contiguous(memory_format=torch.channels_last)

    def init_weights(self) -> None:
        """Initialises the weights; mmengine calls it again after the host's own initialisation.

        Upsamplers that do not implement it keep the host's, or torch's, initialisation.
        """

    def flops_per_position(self) -> int | None:
        """Multiply-adds per low-res position by formula, such as Table 1's.

        The formula assumes an output of ``scale_factor`` times the size. Biases, normalisation and
        interpolation are not counted, as in the paper.

        Returns:
            int | None: The number, or None if the upsampler has no formula.
        """
        return None

    def upsample(self, x: Tensor, guide: Tensor | None, size: tuple[int, int]) -> Tensor:
        """Upsamples checked inputs to the given (H, W); subclasses implement it."""
        raise NotImplementedError

    def fail(self, message: str, error: type[Exception] = ValueError) -> None:
        """Raises an error that names the upsampler."""
        raise error(f'{type(self).__name__}: {message}')

    def check_positive(self, **numbers: int) -> None:
        """Raises ValueError for a named number that is not a positive integer."""
        check_positive(type(self).__name__, **numbers)

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

    def _is_channels_last(self, feature: Tensor) -> bool:
        """Whether the channels of a map of C channels lie side by side, also in a cropped map."""
        channels, stride = self.in_channels, feature.stride()
        return channels > 1 and stride[1] == 1 and stride[3] >= channels

    def _check_inputs(self, x: Tensor, guide: Tensor | None) -> None:
        self._check_map('x', x, self.in_channels)
        if guide is None:
            if self.guided:
                self.fail('guide is required: call upsampler(x, guide) with the high-res feature')
            return
        self._check_map('guide', guide, self.guide_channels if self.guided else None)
        (n, _, h, w), (guide_n, _, high_h, high_w) = shape(x), shape(guide)
        if (high_h < h or high_w < w) and not self.any_size:
            self.fail(
                f'guide is smaller than x: (H, W) = {(high_h, high_w)} against '
                f'(h, w) = {(h, w)}; inputs are upsampler(x, guide), low-res first'
            )
        if not self.guided:
            return
        if guide_n != n:
            self.fail(f'guide has batch size {guide_n}, x has {n}')
        if guide.device != x.device:
            self.fail(f'guide is on {guide.device}, x on {x.device}')
        if guide.dtype != x.dtype and not autocast.enabled(x.device.type):
            self.fail(f'guide is {guide.dtype}, x is {x.dtype}', TypeError)

    def _check_map(self, name: str, feature: Tensor, channels: int | None) -> None:
        if not isinstance(feature, Tensor):
            message = f'{name} must be a tensor (N, C, H, W), got a {type(feature).__name__}'
            self.fail(message, TypeError)
        if feature.dim() != 4:
            self.fail(f'{name} must be (N, C, H, W), got shape {shape(feature)}')
        if 0 in shape(feature)[1:]:
            self.fail(f'{name} may be empty in the batch only, got shape {shape(feature)}')
        if channels is None:
            return
        if not feature.is_floating_point():
            self.fail(f'{name} must be floating point, got {feature.dtype}', TypeError)
        got = shape(feature)[1]
        if got != channels:
            self.fail(f'{name} must have {channels} channels, got {got}')

    def adapt_state_dict(self, state_dict: dict[str, Any], prefix: str) -> None:
        """Turns other projects' weights into ours before they load, in place.

        Args:
            state_dict (dict[str, Any]): A state dict.
            prefix (str): What the keys of this module begin with.
        """
        rename_keys(state_dict, prefix, self.renamed_keys)

    def _load_from_state_dict(self, state_dict, prefix, *args, **kwargs):
        self.adapt_state_dict(state_dict, prefix)
        own = {f'{prefix}{name}' for name, _ in self.named_parameters()}
        for name, option in self.weights_of_options.items():
            for key in state_dict:
                # mmengine would drop it and log a warning: a wrong result.
                if f'{key}.'.startswith(f'{prefix}{name}.') and key not in own:
                    self.fail(f'the weights have {key}; build the upsampler with {option}')
        super()._load_from_state_dict(state_dict, prefix, *args, **kwargs)


class WindowUpsampler(Upsampler):
    """Assembles the K×K window around each upsampled position by generated weights.

    Attributes:
        kernel_size (int): K.
        groups (int): Groups of channels with kernels of their own.
    """

    kernel_size: int
    groups: int = 1

    def generate_weights(self, x: Tensor, guide: Tensor | None, size: tuple[int, int]) -> Tensor:
        """Kernels of all upsampled positions; subclasses implement it.

        Args:
            x (Tensor): (N, C, h, w).
            guide (Tensor, optional): (N, C', H, W), where the upsampler is guided.
            size (tuple[int, int]): H and W.

        Returns:
            Tensor: (N, groups*K*K, H, W); taps run row by row, then column by column.
        """
        raise NotImplementedError

    def upsample(self, x: Tensor, guide: Tensor | None, size: tuple[int, int]) -> Tensor:
        """See ``Upsampler.forward``."""
        weight = self.generate_weights(x, guide, size)
        return window_assemble(weight, x, self.kernel_size, self.groups)


class PointUpsampler(Upsampler):
    """Assembles the points selected for each upsampled position, in groups of channels.

    Attributes:
        groups (int): g, groups of channels with points of their own.
    """

    groups: int

    def kernels(
        self, x: Tensor, guide: Tensor | None, size: tuple[int, int]
    ) -> tuple[Tensor, Tensor]:
        """Weights and points of all upsampled positions; subclasses implement it.

        Args:
            x (Tensor): (N, C, h, w).
            guide (Tensor, optional): (N, C', H, W), where the upsampler is guided.
            size (tuple[int, int]): H and W.

        Returns:
            tuple[Tensor, Tensor]: Weights (N, g, S, H, W) and offsets (N, g*S*2, H, W) from the
            low-res index, in low-res pixels; their channels run group, point, (x, y).
        """
        raise NotImplementedError
