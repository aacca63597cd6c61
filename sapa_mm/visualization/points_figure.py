"""Figure 11: the points that upsampled positions sample, coloured by their weights."""

from collections.abc import Sequence

import numpy as np
import torch
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Rectangle

from ..upsamplers import PointUpsampler
from .canvas import MARK, Extent, draw_points, format_size, mark, show, to_cell, to_pixels, zoom
from .kernels import Kernels, class_names, compute_kernels
from .model_run import ModelRun

_MARKERS = 'osD^v<>p'
# With more children, the panels would be too small: only the position itself is drawn.
_MAX_CHILDREN = 16


def draw_points_figure(
    run: ModelRun, position: tuple[int, int] | None = None, upsampler: int = -1
) -> Figure:
    """Draws the points that all children of a low-res position sample, a panel for each child.

    The children are the upsampled positions with the same low-res index, s² for scale factor s.

    Args:
        run (ModelRun): A model run on an image.
        position (tuple[int, int], optional): Row and column of a pixel of the image. Defaults to
            ``run.position``.
        upsampler (int): Index of the upsampler in the order of their calls. Defaults to -1, the
            last.

    Returns:
        Figure: The figure; each group of channels has its own marker.

    Raises:
        ValueError: If there is no such upsampler, or it selects no points.
    """
    call = run.upsampler_call(upsampler)
    if position is None:
        position = run.position
    if not isinstance(call.upsampler, PointUpsampler):
        raise ValueError(
            f'{call.name} is a {type(call.upsampler).__name__}, which selects no points; '
            f'those that do: {class_names(PointUpsampler)}'
        )
    kernels = compute_kernels(call.upsampler, call.x, call.guide)
    size, low = call.output.shape[2:], call.x.shape[2:]
    cell = to_cell(position, size, run.extent)
    rows, columns = _children_of(kernels, cell)
    parent = to_pixels((kernels.rows[cell[0]], kernels.columns[cell[1]]), low, run.extent)

    children = {
        (row, column): _points_and_weights(kernels, row, column)
        for row in rows
        for column in columns
    }
    largest = max(weights.max() for _, weights in children.values())
    radius = _radius(children, parent, low, run.extent)
    figure = Figure(figsize=(6 + 3.4 * len(columns), 3.4 * max(2, len(rows))), layout='constrained')
    left, right = figure.subfigures(1, 2, width_ratios=(5, 0.6 + 3.4 * len(columns)))
    groups, taps = kernels.weights.shape[:2]
    figure.suptitle(
        f'{run.name}: {call.name}, {groups} group{"s" * (groups > 1)} of {taps} points; low-res '
        f'position ({kernels.rows[cell[0]]}, {kernels.columns[cell[1]]}) of {format_size(low)}',
        fontsize=10,
    )
    whole = left.subplots()
    show(whole, run.pixels, 'the points of all children')
    for points, weights in children.values():
        _draw_groups(whole, points, weights, low, run.extent, s=30, vmax=largest)
    corner = np.array([parent[1], parent[0]]) - radius
    frame = Rectangle(corner, 2 * radius, 2 * radius, fill=False, edgecolor=MARK, linewidth=1)
    whole.add_patch(frame)
    whole.set_axis_off()
    height, width = run.pixels.shape[:2]
    whole.set_xlim(-0.5, width - 0.5)
    whole.set_ylim(height - 0.5, -0.5)

    axes = right.subplots(len(rows), len(columns), squeeze=False)
    for axis, (child, (points, weights)) in zip(axes.flat, children.items(), strict=True):
        zoom(axis, run.pixels, run.regions, parent, radius)
        drawn = _draw_groups(axis, points, weights, low, run.extent, s=160, vmax=largest)
        mark(axis, to_pixels(child, size, run.extent))
        axis.set_title(f'child ({child[0]}, {child[1]})', fontsize=9)
        axis.set_axis_off()
    right.colorbar(drawn, ax=axes, shrink=0.7, label='weight in its group')
    shapes = [
        Line2D([], [], marker=_marker(group), color='grey', linestyle='', label=f'group {group}')
        for group in range(groups)
    ]
    left.legend(handles=shapes, loc='lower center', ncols=4, fontsize=8, frameon=False)
    return figure


def _children_of(kernels: Kernels, cell: Sequence[int]) -> tuple[list[int], list[int]]:
    """Rows and columns of the positions with the same low-res index; only its own if too many."""
    rows, columns = (
        torch.nonzero(axis == axis[index]).flatten().tolist()
        for axis, index in zip((kernels.rows, kernels.columns), cell, strict=True)
    )
    if len(rows) * len(columns) > _MAX_CHILDREN:
        return [cell[0]], [cell[1]]
    return rows, columns


def _points_and_weights(kernels: Kernels, row: int, column: int) -> tuple[np.ndarray, np.ndarray]:
    """Points (g, S, 2) and weights (g, S) of each group, not divided by the number of groups."""
    kernel, shape = kernels.at(row, column), kernels.weights.shape[:2]
    return kernel.points.reshape(*shape, 2), kernel.weights.reshape(shape) * shape[0]


def _radius(children: dict, parent: np.ndarray, low: Sequence[int], extent: Extent) -> float:
    """Distance from the low-res position within which most points lie; at least three cells."""
    points = np.concatenate([points.reshape(-1, 2) for points, _ in children.values()])
    distances = np.abs(to_pixels(points[:, ::-1], low, extent) - parent).max(1)
    cell = (np.array(extent) / low).max()
    return max(3 * cell, 1.1 * np.quantile(distances, 0.95) + cell / 2)


def _draw_groups(
    axis: Axes,
    points: np.ndarray,
    weights: np.ndarray,
    low: Sequence[int],
    extent: Extent,
    **options,
):
    options['vmin'] = 0
    for group, (places, shares) in enumerate(zip(points, weights, strict=True)):
        drawn = draw_points(axis, places, shares, low, extent, marker=_marker(group), **options)
    return drawn


def _marker(group: int) -> str:
    return _MARKERS[group % len(_MARKERS)]
