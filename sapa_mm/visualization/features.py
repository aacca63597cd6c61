"""Figures 3, 7 and 8: what goes into each upsampler of a model, and what comes out."""

from collections.abc import Sequence

import numpy as np
from matplotlib.figure import Figure

from ..upsamplers import IndexNet
from .canvas import feature_picture, grid, name_row, panel_height, show, show_map
from .geometry import Extent, by
from .kernels import find_kernels, has_kernels
from .recording import Call

_WIDTH = 2.3


def draw_features(
    image: np.ndarray, extent: Extent, calls: Sequence[Call], channels: Sequence[int] = ()
) -> Figure:
    """Draws decoder input, guide and upsampled output of each upsampler, a row for each.

    The last column is a picture of its kernels, see :func:`kernel_map`.

    Args:
        image (np.ndarray): RGB, uint8 (H, W, 3).
        extent (Extent): What feature maps cover, in pixels of the image.
        calls (Sequence[Call]): The calls, one or more.
        channels (Sequence[int]): Single channels to draw, instead of the mean of all. Defaults to
            none.

    Returns:
        Figure: The figure.

    Raises:
        ValueError: If a feature map has no such channel.
    """
    _check_channels(calls, channels)
    chosen = [*channels] or [None]
    maps = [kernel_map(call) for call in calls]
    columns = 1 + 3 * len(chosen) + any(maps)
    figure, axes = grid(len(calls), columns, _WIDTH, panel_height(image, _WIDTH))
    show(axes[0, 0], image, 'image')
    for number, (row, call) in enumerate(zip(axes, calls, strict=True)):
        panels = iter(row[1:])
        for what, feature in (('x', call.x), ('guide', call.guide), ('output', call.output)):
            for channel in chosen:
                axis = next(panels)
                if feature is None:
                    continue
                kind = by(feature.shape[1:]) if channel is None else f'channel {channel}'
                picture = feature_picture(feature, channel)
                show_map(axis, picture, extent, image.shape, f'{what}, {kind}')
        if maps[number] is not None:
            values, title = maps[number]
            axis = next(panels)
            drawn = show_map(axis, values, extent, image.shape, title, cmap='viridis')
            figure.colorbar(drawn, ax=axis, shrink=0.75).ax.tick_params(labelsize=7)
        name_row(row[1], f'{number}: {call.name}')
    return figure


def kernel_map(call: Call) -> tuple[np.ndarray, str] | None:
    """One number that says what an upsampler's kernel is like at each position.

    Args:
        call (Call): A call of the upsampler.

    Returns:
        tuple[np.ndarray, str] | None: The map (H, W) and its title. Of several points, how many
        the kernel draws on (the exponential of its entropy: few at a boundary that it respects);
        of a single one, its distance in low-res pixels; of IndexNet, its index map. None without
        kernels.
    """
    if isinstance(call.upsampler, IndexNet):
        return index_map(call), 'index map'
    if not has_kernels(type(call.upsampler)):
        return None
    kernels = find_kernels(call.upsampler, call.x, call.guide)
    taps = kernels.weights.shape[1]
    if taps == 1:
        return kernels.reach().numpy(), 'distance of the point'
    return kernels.effective_points().numpy(), f'effective points of {taps}'


def index_map(call: Call) -> np.ndarray:
    """IndexNet's index map (H, W), the mean of its channels."""
    values = call.upsampler.index_map(call.guide[:1], call.output.shape[2:])
    return values.detach()[0].mean(0).float().cpu().numpy()


def _check_channels(calls: Sequence[Call], channels: Sequence[int]) -> None:
    counts = [
        feature.shape[1]
        for call in calls
        for feature in (call.x, call.guide, call.output)
        if feature is not None
    ]
    wrong = [channel for channel in channels if not 0 <= channel < min(counts)]
    if wrong:
        raise ValueError(f'channels must be in 0..{min(counts) - 1}, got {wrong[0]}')
