"""Figures 3, 7 and 8: inputs and outputs of each upsampler of a model."""

from collections.abc import Sequence

import numpy as np
from matplotlib.figure import Figure

from .canvas import (
    Extent,
    feature_picture,
    format_size,
    grid,
    name_row,
    panel_height,
    show,
    show_map,
)
from .kernels import kernel_map
from .model_run import Call, ModelRun

_WIDTH = 2.3


def draw_features_figure(run: ModelRun, channels: Sequence[int] = ()) -> Figure:
    """Draws the features of a model run on an image; see ``draw_features``.

    Args:
        run (ModelRun): The model run.
        channels (Sequence[int]): Single channels to draw. Defaults to (), the mean of all.

    Returns:
        Figure: The figure.

    Raises:
        ValueError: If the model has no upsamplers, or a feature map has no such channel.
    """
    return draw_features(run.pixels, run.extent, run.upsampler_calls(), channels)


def draw_features(
    pixels: np.ndarray, extent: Extent, calls: Sequence[Call], channels: Sequence[int] = ()
) -> Figure:
    """Draws low-res feature, guide and output of each upsampler, a row for each.

    The last column describes its kernels, see ``.kernels.kernel_map``.

    Args:
        pixels (np.ndarray): The image, RGB, uint8 (H, W, 3).
        extent (Extent): Extent of the feature maps.
        calls (Sequence[Call]): One or more calls.
        channels (Sequence[int]): Single channels to draw. Defaults to (), the mean of all.

    Returns:
        Figure: The figure.

    Raises:
        ValueError: If a feature map has no such channel.
    """
    _check_channels(calls, channels)
    chosen = [*channels] or [None]
    maps = [kernel_map(call) for call in calls]
    columns = 1 + 3 * len(chosen) + any(maps)
    figure, axes = grid(len(calls), columns, _WIDTH, panel_height(pixels, _WIDTH))
    show(axes[0, 0], pixels, 'image')
    for number, (row, call) in enumerate(zip(axes, calls, strict=True)):
        panels = iter(row[1:])
        for name, feature in (('x', call.x), ('guide', call.guide), ('output', call.output)):
            for channel in chosen:
                axis = next(panels)
                if feature is None:
                    continue
                size = format_size(feature.shape[1:])
                title = f'{name}, ' + (size if channel is None else f'channel {channel}')
                show_map(axis, feature_picture(feature, channel), extent, pixels.shape, title)
        if maps[number] is not None:
            values, title = maps[number]
            axis = next(panels)
            drawn = show_map(axis, values, extent, pixels.shape, title, cmap='viridis')
            figure.colorbar(drawn, ax=axis, shrink=0.75).ax.tick_params(labelsize=7)
        name_row(row[1], f'{number}: {call.name}')
    return figure


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
