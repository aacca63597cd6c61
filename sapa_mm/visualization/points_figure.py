"""Figure 11: the points that upsampled positions sample, coloured by their weights."""

from collections.abc import Sequence

import numpy as np
import torch
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Rectangle

from ..upsamplers import UPSAMPLERS, PointUpsampler
from .canvas import MARK, draw_points, mark, show, zoom
from .geometry import by, to_cell, to_pixels
from .kernels import Kernels, find_kernels
from .observation import Observation

_MARKERS = 'osD^v<>p'
# More children than these would not be told apart: then the position itself is drawn.
_MOST_CHILDREN = 16


def draw_points_figure(
    observation: Observation, position: tuple[int, int], upsampler: int = -1
) -> Figure:
    """Draws the points that all children of a low-res position sample, a panel for each child.

    A child is an upsampled position; an upsampler by s has s² for each low-res position.

    Args:
        observation (Observation): A model on an image.
        position (tuple[int, int]): Row and column of a pixel of the image.
        upsampler (int): Which upsampler, in the order of their calls. Defaults to the last.

    Returns:
        Figure: The figure; the groups of channels are told apart by markers.

    Raises:
        ValueError: If there is no such upsampler, or it selects no points.
    """
    call = observation.stage(upsampler)
    if not isinstance(call.upsampler, PointUpsampler):
        kinds = [kind.__name__ for kind in UPSAMPLERS.values() if issubclass(kind, PointUpsampler)]
        raise ValueError(
            f'{call.name} is a {type(call.upsampler).__name__}, which selects no points; '
            f'those that do: {", ".join(sorted(kinds))}'
        )
    kernels = find_kernels(call.upsampler, call.x, call.guide)
    size, low = call.output.shape[2:], call.x.shape[2:]
    cell = to_cell(position, size, observation.extent)
    rows, columns = children_of(kernels, cell)
    parent = to_pixels((kernels.rows[cell[0]], kernels.columns[cell[1]]), low, observation.extent)

    found = {
        (row, column): _points_and_weights(kernels, row, column)
        for row in rows
        for column in columns
    }
    most = max(weights.max() for _, weights in found.values())
    reach = _reach(found, parent, low, observation)
    figure = Figure(figsize=(6 + 3.4 * len(columns), 3.4 * max(2, len(rows))), layout='constrained')
    left, right = figure.subfigures(1, 2, width_ratios=(5, 0.6 + 3.4 * len(columns)))
    groups, taps = kernels.weights.shape[:2]
    figure.suptitle(
        f'{observation.name}: {call.name}, {groups} groups of {taps} points; low-res position '
        f'({kernels.rows[cell[0]]}, {kernels.columns[cell[1]]}) of {by(low)}',
        fontsize=10,
    )
    whole = left.subplots()
    show(whole, observation.image, 'the points of all children')
    for points, weights in found.values():
        _draw_groups(whole, points, weights, low, observation, s=30, vmax=most)
    corner = np.array([parent[1], parent[0]]) - reach
    frame = Rectangle(corner, 2 * reach, 2 * reach, fill=False, edgecolor=MARK, linewidth=1)
    whole.add_patch(frame)
    whole.set_axis_off()
    height, width = observation.image.shape[:2]
    whole.set_xlim(-0.5, width - 0.5)
    whole.set_ylim(height - 0.5, -0.5)

    axes = right.subplots(len(rows), len(columns), squeeze=False)
    for axis, (child, (points, weights)) in zip(axes.flat, found.items(), strict=True):
        zoom(axis, observation.image, observation.labels, parent, reach)
        drawn = _draw_groups(axis, points, weights, low, observation, s=160, vmax=most)
        mark(axis, to_pixels(child, size, observation.extent))
        axis.set_title(f'child ({child[0]}, {child[1]})', fontsize=9)
        axis.set_axis_off()
    right.colorbar(drawn, ax=axes, shrink=0.7, label='weight in its group')
    shapes = [
        Line2D([], [], marker=_marker(group), color='grey', linestyle='', label=f'group {group}')
        for group in range(groups)
    ]
    left.legend(handles=shapes, loc='lower center', ncols=4, fontsize=8, frameon=False)
    return figure


def children_of(kernels: Kernels, cell: Sequence[int]) -> tuple[list[int], list[int]]:
    """Rows and columns of the positions that share a position's low-res index.

    Args:
        kernels (Kernels): The kernels.
        cell (Sequence[int]): Row and column of an upsampled position.

    Returns:
        tuple[list[int], list[int]]: Rows and columns; of the position alone if there are more
        than 16.
    """
    rows, columns = (
        torch.nonzero(axis == axis[place]).flatten().tolist()
        for axis, place in zip((kernels.rows, kernels.columns), cell, strict=True)
    )
    if len(rows) * len(columns) > _MOST_CHILDREN:
        return [cell[0]], [cell[1]]
    return rows, columns


def _points_and_weights(kernels: Kernels, row: int, column: int) -> tuple[np.ndarray, np.ndarray]:
    """By group: (g, S, 2) and (g, S), weights within the group."""
    kernel, shape = kernels.at(row, column), kernels.weights.shape[:2]
    return kernel.points.reshape(*shape, 2), kernel.weights.reshape(shape) * shape[0]


def _reach(found: dict, parent: np.ndarray, low: Sequence[int], observation: Observation) -> float:
    """Pixels around the low-res position in which most points lie; at least three cells."""
    points = np.concatenate([points.reshape(-1, 2) for points, _ in found.values()])
    distances = np.abs(to_pixels(points[:, ::-1], low, observation.extent) - parent).max(1)
    cell = (np.array(observation.extent) / low).max()
    return max(3 * cell, 1.1 * np.quantile(distances, 0.95) + cell / 2)


def _draw_groups(
    axis: Axes,
    points: np.ndarray,
    weights: np.ndarray,
    low: Sequence[int],
    observation: Observation,
    **options,
):
    for group, (one, share) in enumerate(zip(points, weights, strict=True)):
        drawn = draw_points(
            axis, one, share, low, observation.extent, marker=_marker(group), vmin=0, **options
        )
    return drawn


def _marker(group: int) -> str:
    return _MARKERS[group % len(_MARKERS)]
