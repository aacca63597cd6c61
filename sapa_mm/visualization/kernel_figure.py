"""Figure 5: the kernel of one position, and the map of each of its taps."""

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure, SubFigure
from matplotlib.patches import Rectangle

from ..upsamplers import UPSAMPLERS, IndexNet, WindowUpsampler
from .canvas import MARK, mark, show, show_map, zoom
from .features import index_map
from .geometry import by, to_cell, to_pixels
from .kernels import Kernel, find_kernels
from .observation import Observation
from .recording import Call


def draw_kernel(observation: Observation, position: tuple[int, int], upsampler: int = -1) -> Figure:
    """Draws where a position lies, its K×K kernel, and the map of each tap over the image.

    Of IndexNet, which has no window, it draws the index map.

    Args:
        observation (Observation): A model on an image.
        position (tuple[int, int]): Row and column of a pixel of the image.
        upsampler (int): Which upsampler, in the order of their calls. Defaults to the last.

    Returns:
        Figure: The figure.

    Raises:
        ValueError: If there is no such upsampler, or it has no window.
    """
    call = observation.stage(upsampler)
    if isinstance(call.upsampler, IndexNet):
        return _draw_index_map(observation, call, position)
    if not isinstance(call.upsampler, WindowUpsampler):
        drawn = (WindowUpsampler, IndexNet)
        kinds = ', '.join(k.__name__ for k in UPSAMPLERS.values() if issubclass(k, drawn))
        raise ValueError(
            f'{call.name} is a {type(call.upsampler).__name__}, which has no kernel over a window; '
            f'those that have: {kinds}'
        )
    kernels = find_kernels(call.upsampler, call.x, call.guide)
    row, column = to_cell(position, call.output.shape[2:], observation.extent)
    kernel = kernels.at(row, column)
    side = call.upsampler.kernel_size
    weights = kernel.weights.reshape(-1, side, side).sum(0)

    figure = Figure(figsize=(15, 5.6), layout='constrained')
    places, table, maps = figure.subfigures(1, 3, width_ratios=(2.6, 5, 6.4))
    figure.suptitle(
        f'{observation.name}: {call.name}, position ({row}, {column}) of '
        f'{by(call.output.shape[2:])}, pixel {tuple(position)}',
        fontsize=10,
    )
    _draw_places(places, observation, call, kernel, position)
    groups = call.upsampler.groups
    title = f'its {by((side, side))} kernel' + (f', mean of {groups} groups' if groups > 1 else '')
    _draw_weights(table, weights, title)
    taps = kernels.weights.mean(0).numpy().reshape(side, side, *kernels.weights.shape[2:])
    _draw_taps(maps, taps, observation)
    return figure


def _draw_places(
    figure: SubFigure,
    observation: Observation,
    call: Call,
    kernel: Kernel,
    position: Sequence[int],
) -> None:
    """The window on the whole image, and on its surroundings."""
    size, extent = call.x.shape[2:], observation.extent
    cell = np.array(extent) / size
    side = call.upsampler.kernel_size
    corner = to_pixels(kernel.points[0, ::-1], size, extent) - cell / 2
    whole, near = figure.subplots(2, 1)
    show(whole, observation.image, 'the window on the image')
    reach = (side / 2 + 1) * cell.max()
    zoom(near, observation.image, observation.labels, corner + side * cell / 2, reach)
    near.set_title('its low-res pixels; predicted borders', fontsize=9)
    for axis, step in ((whole, side), (near, 1)):
        for tap in np.ndindex(side // step, side // step):
            y, x = corner + tap * cell
            height, width = step * cell
            frame = Rectangle((x, y), width, height, fill=False, edgecolor=MARK, linewidth=0.9)
            axis.add_patch(frame)
        mark(axis, position)
        axis.set_axis_off()


def _draw_weights(figure: SubFigure, weights: np.ndarray, title: str) -> None:
    axis = figure.subplots()
    drawn = axis.imshow(weights, cmap='viridis')
    middle = (weights.min() + weights.max()) / 2
    for (row, column), weight in np.ndenumerate(weights):
        colour = 'black' if weight > middle else 'white'
        axis.text(column, row, f'{weight:.3f}', ha='center', va='center', color=colour, fontsize=8)
    taps = np.arange(len(weights))
    names = [f'{tap:+d}' if tap else '0' for tap in taps - len(weights) // 2]
    axis.set_xticks(taps, names)
    axis.set_yticks(taps, names)
    axis.set_title(title, fontsize=9)
    figure.colorbar(drawn, ax=axis, shrink=0.8)


def _draw_taps(figure: SubFigure, taps: np.ndarray, observation: Observation) -> None:
    """A small map of each tap, at its place in the window; all on one scale."""
    axes = figure.subplots(*taps.shape[:2])
    scale = dict(vmin=min(0.0, taps.min()), vmax=np.quantile(taps, 0.98), cmap='viridis')
    for tap in np.ndindex(taps.shape[:2]):
        size = observation.image.shape
        drawn = show_map(axes[tap], taps[tap], observation.extent, size, **scale)
        axes[tap].set_axis_off()
    figure.suptitle('the weight of each tap, over the image', fontsize=9)
    figure.colorbar(drawn, ax=axes, shrink=0.8, extend='max')


def _draw_index_map(observation: Observation, call: Call, position: tuple[int, int]) -> Figure:
    values = index_map(call)
    row, column = to_cell(position, values.shape, observation.extent)
    cell = np.array(observation.extent) / values.shape
    figure = Figure(figsize=(13, 4.6), layout='constrained')
    figure.suptitle(f'{observation.name}: {call.name}', fontsize=10)
    axes: Sequence[Axes] = figure.subplots(1, 3)
    show(axes[0], observation.image, 'image')
    size = observation.image.shape
    titles = ('index map', f'around ({row}, {column}): {values[row, column]:.3f}')
    for axis, title in zip(axes[1:], titles, strict=True):
        drawn = show_map(axis, values, observation.extent, size, title, cmap='viridis')
    point, reach = to_pixels((row, column), values.shape, observation.extent), 8 * cell.max()
    axes[2].set_xlim(point[1] - reach, point[1] + reach)
    axes[2].set_ylim(point[0] + reach, point[0] - reach)
    for axis in axes:
        mark(axis, point)
        axis.set_axis_off()
    figure.colorbar(drawn, ax=axes[2], shrink=0.8)
    return figure
