"""Elements that the figures share: panels, feature maps placed on the image, marks."""

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Patch
from mmengine.visualization import Visualizer
from torch import Tensor

#: Height and width, in pixels of the image, of the area that a feature map covers, with padding.
Extent = tuple[float, float]

#: Colour of marks on images.
MARK = 'red'


def to_pixels(position: Sequence, size: Sequence[int], extent: Extent) -> np.ndarray:
    """Converts a position of a feature map to the point of the image at its centre.

    Args:
        position (Sequence): Row and column (..., 2); may be fractions.
        size (Sequence[int]): Height and width of the feature map.
        extent (Extent): Extent of the map.

    Returns:
        np.ndarray: y and x (..., 2); the centre of the first pixel is 0.
    """
    return (np.asarray(position) + 0.5) * (np.array(extent) / size) - 0.5


def to_cell(pixel: Sequence[int], size: Sequence[int], extent: Extent) -> tuple[int, int]:
    """Converts a pixel (y, x) of the image to the position (row, column) of a feature map."""
    cell = np.floor((np.asarray(pixel) + 0.5) * size / np.array(extent)).astype(int)
    row, column = np.clip(cell, 0, np.array(size) - 1).tolist()
    return row, column


def format_size(size: Sequence[int]) -> str:
    """Formats a size, such as '12 x 16'."""
    return ' x '.join(map(str, size))


def grid(rows: int, columns: int, width: float, height: float) -> tuple[Figure, np.ndarray]:
    """Makes a figure with empty panels.

    Args:
        rows (int): Rows of panels.
        columns (int): Columns of panels.
        width (float): Width of a panel in inches.
        height (float): Height of a panel with its title in inches.

    Returns:
        tuple[Figure, np.ndarray]: The figure, and its axes (rows, columns), without frames.
    """
    figure = Figure(figsize=(width * columns, height * rows), layout='constrained')
    axes = figure.subplots(rows, columns, squeeze=False)
    for axis in axes.flat:
        axis.set_axis_off()
    return figure, axes


def panel_height(pixels: np.ndarray, width: float, title: float = 0.3) -> float:
    """Computes the height in inches of a panel for an image (H, W, 3) and its title."""
    height = width * pixels.shape[0] / pixels.shape[1]
    return float(np.clip(height, 0.6 * width, 1.6 * width)) + title


def show(axis: Axes, picture: np.ndarray, title: str = '') -> None:
    """Shows a picture with a title."""
    axis.imshow(picture)
    axis.set_title(title, fontsize=9)


def name_row(axis: Axes, name: str) -> None:
    """Writes the name of a row of panels along the left side of one of them."""
    place = dict(rotation=90, ha='right', va='center', fontsize=7, transform=axis.transAxes)
    axis.text(-0.06, 0.5, name, **place)


def show_map(
    axis: Axes, values: np.ndarray, extent: Extent, size: Sequence[int], title: str = '', **options
):
    """Shows a map in its place on the image, without the padding.

    Args:
        axis (Axes): The panel.
        values (np.ndarray): (h, w), or RGB (h, w, 3).
        extent (Extent): Extent of the map.
        size (Sequence[int]): Height and width of the image.
        title (str): A title. Defaults to ''.
        **options: Arguments of ``imshow``.

    Returns:
        AxesImage: What ``imshow`` returns.
    """
    height, width = extent
    edges = (-0.5, width - 0.5, height - 0.5, -0.5)
    drawn = axis.imshow(values, extent=edges, interpolation='nearest', **options)
    axis.set_xlim(-0.5, size[1] - 0.5)
    axis.set_ylim(size[0] - 0.5, -0.5)
    axis.set_title(title, fontsize=9)
    return drawn


def feature_picture(feature: Tensor, channel: int | None = None) -> np.ndarray:
    """Colours a feature map by mmengine's ``draw_featmap``, which scales it to its own range.

    Args:
        feature (Tensor): (N, C, h, w), of which the first is drawn.
        channel (int, optional): A channel; None draws the mean of all. Defaults to None.

    Returns:
        np.ndarray: RGB, uint8 (h, w, 3).
    """
    chosen = slice(None) if channel is None else slice(channel, channel + 1)
    return Visualizer.draw_featmap(feature[0, chosen].float(), channel_reduction='squeeze_mean')


def zoom(
    axis: Axes, pixels: np.ndarray, labels: np.ndarray, centre: Sequence[float], radius: float
) -> None:
    """Shows the surroundings of a point, with the borders of regions in white.

    Args:
        axis (Axes): The panel.
        pixels (np.ndarray): The image, RGB (H, W, 3).
        labels (np.ndarray): Number of each pixel's region (H, W), such as its class.
        centre (Sequence[float]): y and x of the point.
        radius (float): Pixels shown to each side of it.
    """
    y, x = centre
    # Only what is shown: the borders of all regions in a large photograph take gigabytes.
    (top, bottom), (left, right) = (
        (max(0, min(int(c - radius) - 2, side - 1)), max(1, min(int(c + radius) + 3, side)))
        for c, side in zip(centre, labels.shape, strict=True)
    )
    pixels, labels = (array[top:bottom, left:right] for array in (pixels, labels))
    axis.imshow(pixels, extent=(left - 0.5, right - 0.5, bottom - 0.5, top - 0.5))
    place = np.arange(left, right), np.arange(top, bottom)
    # A contour needs two rows and columns.
    for label in np.unique(labels) if min(labels.shape) > 1 else ():
        axis.contour(*place, labels == label, levels=[0.5], colors='white', linewidths=0.8)
    axis.set_xlim(x - radius, x + radius)
    axis.set_ylim(y + radius, y - radius)


def mark(axis: Axes, point: Sequence[float], size: float = 14) -> None:
    """Marks a point (y, x) of the image."""
    y, x = point
    axis.plot(x, y, '+', color='white', ms=size, mew=3.5, zorder=5)
    axis.plot(x, y, '+', color=MARK, ms=size, mew=1.8, zorder=6)


def draw_points(
    axis: Axes,
    points: np.ndarray,
    weights: np.ndarray,
    size: Sequence[int],
    extent: Extent,
    **options,
):
    """Draws points of a low-res map over the image, coloured and sized by weight.

    Args:
        axis (Axes): The panel.
        points (np.ndarray): (S, 2), x and y in low-res pixels.
        weights (np.ndarray): (S,).
        size (Sequence[int]): Height and width of the low-res map.
        extent (Extent): Extent of that map.
        **options: Arguments of ``scatter``, such as ``marker``, ``vmax`` and ``s``, the area of
            the point with the largest weight.

    Returns:
        PathCollection: What ``scatter`` returns.
    """
    order = weights.argsort()
    y, x = to_pixels(points[order, ::-1], size, extent).T
    weights = weights[order]
    largest = options.get('vmax', weights.max())
    area = options.pop('s', 600) * np.abs(weights) / largest + 8
    style = dict(cmap='plasma', edgecolors='black', linewidths=0.6, alpha=0.85, zorder=4)
    return axis.scatter(x, y, c=weights, s=area, **style | options)


def patches(names: Sequence[str], colours: Sequence) -> list[Patch]:
    """Makes the handles of a legend of colours."""
    return [
        Patch(facecolor=colour, edgecolor='black', linewidth=0.5, label=name)
        for name, colour in zip(names, colours, strict=True)
    ]
