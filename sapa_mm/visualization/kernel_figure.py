"""Figure 5: the kernel of one position, and the map of each of its taps."""

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure, SubFigure
from matplotlib.patches import Rectangle

from ..upsamplers import IndexNet, WindowUpsampler
from .canvas import MARK, format_size, mark, show, show_map, to_cell, to_pixels, zoom
from .kernels import Kernel, class_names, compute_kernels, index_map
from .model_run import Call, ModelRun


def draw_kernel(
    run: ModelRun, position: tuple[int, int] | None = None, upsampler: int = -1
) -> Figure:
    """Draws the place of a position, its K×K kernel, and the weight of each tap over the image.

    For IndexNet, which has no window, it draws the index map.

    Args:
        run (ModelRun): A model run on an image.
        position (tuple[int, int], optional): Row and column of a pixel of the image. Defaults to
            ``run.position``.
        upsampler (int): Index of the upsampler in the order of their calls. Defaults to -1, the
            last.

    Returns:
        Figure: The figure.

    Raises:
        ValueError: If there is no such upsampler, or it has no window.
    """
    call = run.upsampler_call(upsampler)
    if position is None:
        position = run.position
    if isinstance(call.upsampler, IndexNet):
        return _draw_index_map(run, call, position)
    if not isinstance(call.upsampler, WindowUpsampler):
        raise ValueError(
            f'{call.name} is a {type(call.upsampler).__name__}, which has no kernel over a window; '
            f'those that have: {class_names(WindowUpsampler, IndexNet)}'
        )
    kernels = compute_kernels(call.upsampler, call.x, call.guide)
    row, column = to_cell(position, call.output.shape[2:], run.extent)
    kernel = kernels.at(row, column)
    side = call.upsampler.kernel_size
    weights = kernel.weights.reshape(-1, side, side).sum(0)

    figure = Figure(figsize=(15, 5.6), layout='constrained')
    places, table, maps = figure.subfigures(1, 3, width_ratios=(2.6, 5, 6.4))
    figure.suptitle(
        f'{run.name}: {call.name}, position ({row}, {column}) of '
        f'{format_size(call.output.shape[2:])}, pixel {tuple(position)}',
        fontsize=10,
    )
    _draw_places(places, run, call, kernel, position)
    groups = call.upsampler.groups
    title = f'its {format_size((side, side))} kernel' + (
        f', mean of {groups} groups' if groups > 1 else ''
    )
    _draw_weights(table, weights, title)
    taps = kernels.weights.mean(0).numpy().reshape(side, side, *kernels.weights.shape[2:])
    _draw_taps(maps, taps, run)
    return figure


def _draw_places(
    figure: SubFigure,
    run: ModelRun,
    call: Call,
    kernel: Kernel,
    position: Sequence[int],
) -> None:
    """Draws the window on the whole image, and enlarged."""
    size, extent = call.x.shape[2:], run.extent
    cell = np.array(extent) / size
    side = call.upsampler.kernel_size
    corner = to_pixels(kernel.points[0, ::-1], size, extent) - cell / 2
    whole, near = figure.subplots(2, 1)
    show(whole, run.pixels, 'the window on the image')
    radius = (side / 2 + 1) * cell.max()
    zoom(near, run.pixels, run.regions, corner + side * cell / 2, radius)
    near.set_title(f'its low-res pixels; {run.task.borders}', fontsize=9)
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


def _draw_taps(figure: SubFigure, taps: np.ndarray, run: ModelRun) -> None:
    """Draws a small map of each tap, at its place in the window; all have one colour scale."""
    axes = figure.subplots(*taps.shape[:2])
    scale = dict(vmin=min(0.0, taps.min()), vmax=np.quantile(taps, 0.98), cmap='viridis')
    for tap in np.ndindex(taps.shape[:2]):
        size = run.pixels.shape
        drawn = show_map(axes[tap], taps[tap], run.extent, size, **scale)
        axes[tap].set_axis_off()
    figure.suptitle('the weight of each tap, over the image', fontsize=9)
    figure.colorbar(drawn, ax=axes, shrink=0.8, extend='max')


def _draw_index_map(run: ModelRun, call: Call, position: tuple[int, int]) -> Figure:
    values = index_map(call)
    row, column = to_cell(position, values.shape, run.extent)
    cell = np.array(run.extent) / values.shape
    figure = Figure(figsize=(13, 4.6), layout='constrained')
    figure.suptitle(f'{run.name}: {call.name}', fontsize=10)
    axes: Sequence[Axes] = figure.subplots(1, 3)
    show(axes[0], run.pixels, 'image')
    size = run.pixels.shape
    titles = ('index map', f'around ({row}, {column}): {values[row, column]:.3f}')
    for axis, title in zip(axes[1:], titles, strict=True):
        drawn = show_map(axis, values, run.extent, size, title, cmap='viridis')
    point, radius = to_pixels((row, column), values.shape, run.extent), 8 * cell.max()
    axes[2].set_xlim(point[1] - radius, point[1] + radius)
    axes[2].set_ylim(point[0] + radius, point[0] - radius)
    for axis in axes:
        mark(axis, point)
        axis.set_axis_off()
    figure.colorbar(drawn, ax=axes[2], shrink=0.8)
    return figure
