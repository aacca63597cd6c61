"""Signed distance functions of the generated shapes.

Each function returns, for every point, the signed distance in pixels to the outline of a shape:
negative inside, zero on the outline, positive outside. Coordinates are float arrays of one common
shape; ``x`` grows to the right, ``y`` downwards, and the shape sits at the origin.
"""

from __future__ import annotations

import numpy as np

FAR = np.float32(1e3)
"""Distance returned by ``strokes`` for points far from every stroke."""


def disk(x: np.ndarray, y: np.ndarray, radius: float) -> np.ndarray:
    """Signed distance to a disk.

    Args:
        x, y (np.ndarray): Coordinates in pixels, any common shape.
        radius (float): Radius in pixels.

    Returns:
        np.ndarray: Exact signed distance, the shape and dtype of ``x``.
    """
    return np.hypot(x, y) - radius


def ring(x: np.ndarray, y: np.ndarray, radius: float, width: float) -> np.ndarray:
    """Signed distance to a ring (annulus).

    Args:
        x, y (np.ndarray): Coordinates in pixels, any common shape.
        radius (float): Radius of the ring's centre line in pixels.
        width (float): Thickness of the ring in pixels.

    Returns:
        np.ndarray: Exact signed distance, the shape and dtype of ``x``.
    """
    return np.abs(disk(x, y, radius)) - width / 2


def box(x: np.ndarray, y: np.ndarray, half_width: float, half_height: float) -> np.ndarray:
    """Signed distance to an axis-aligned rectangle.

    Args:
        x, y (np.ndarray): Coordinates in pixels, any common shape.
        half_width (float): Half the extent along ``x`` in pixels.
        half_height (float): Half the extent along ``y`` in pixels.

    Returns:
        np.ndarray: Exact signed distance, the shape and dtype of ``x``.
    """
    dx = np.abs(x) - half_width
    dy = np.abs(y) - half_height
    return np.hypot(np.maximum(dx, 0), np.maximum(dy, 0)) + np.minimum(np.maximum(dx, dy), 0)


def polygon(x: np.ndarray, y: np.ndarray, vertices: np.ndarray) -> np.ndarray:
    """Signed distance to a simple polygon.

    Args:
        x, y (np.ndarray): Coordinates in pixels, any common shape.
        vertices (np.ndarray): Corners in order, (n, 2) as (x, y) in pixels.

    Returns:
        np.ndarray: Exact signed distance, the shape and dtype of ``x``.
    """
    vertices = np.asarray(vertices, dtype=x.dtype)
    squared = np.full_like(x, np.inf)
    inside = np.zeros(x.shape, dtype=bool)
    for (x0, y0), (x1, y1) in zip(vertices, np.roll(vertices, -1, axis=0), strict=True):
        squared = np.minimum(squared, _squared_segment_distance(x, y, x0, y0, x1, y1)[0])
        # Even-odd rule: an edge counts where the ray towards +x crosses it.
        crosses = (y0 > y) != (y1 > y)
        if y0 != y1:
            inside ^= crosses & (x < (x1 - x0) * (y - y0) / (y1 - y0) + x0)
    distance = np.sqrt(squared)
    return np.where(inside, -distance, distance).astype(x.dtype, copy=False)


def star_vertices(num_points: int, outer: float, inner: float) -> np.ndarray:
    """Corners of a regular star, for ``polygon``.

    Args:
        num_points (int): Number of tips.
        outer (float): Distance of the tips from the centre in pixels.
        inner (float): Distance of the notches from the centre in pixels.

    Returns:
        np.ndarray: Corners, float64 of shape (2 * num_points, 2), the first tip pointing along +x.
    """
    angle = np.arange(2 * num_points) * (np.pi / num_points)
    distance = np.where(np.arange(2 * num_points) % 2 == 0, outer, inner)
    return np.stack([distance * np.cos(angle), distance * np.sin(angle)], axis=1)


def blob(
    x: np.ndarray,
    y: np.ndarray,
    radius: float,
    amplitudes: np.ndarray,
    phases: np.ndarray,
) -> np.ndarray:
    """Signed distance to a lobed blob, whose radius varies with the angle.

    The outline is ``radius * (1 + sum_k amplitudes[k] * cos((k + 2) * angle + phases[k]))``.

    Args:
        x, y (np.ndarray): Coordinates in pixels, any common shape.
        radius (float): Mean radius in pixels.
        amplitudes (np.ndarray): Relative amplitudes, (n,); their absolute sum must stay below 1.
        phases (np.ndarray): Phases in radians, (n,).

    Returns:
        np.ndarray: Signed distance, exact in sign and to first order at the outline, the shape
        and dtype of ``x``.
    """
    angle = np.arctan2(y, x)
    distance = np.hypot(x, y)
    outline = np.ones_like(x)
    slope = np.zeros_like(x)
    for order, (amplitude, phase) in enumerate(zip(amplitudes, phases, strict=True), start=2):
        argument = order * angle + x.dtype.type(phase)
        outline += x.dtype.type(amplitude) * np.cos(argument)
        slope -= x.dtype.type(order * amplitude) * np.sin(argument)
    # Along the ray the outline is crossed at a slant: correct by the slope of the polar curve.
    return (distance - radius * outline) / np.hypot(1, slope / outline)


def level_set(field: np.ndarray) -> np.ndarray:
    """Signed distance to the zero line of a smooth function sampled on the pixel grid.

    Args:
        field (np.ndarray): Values at the pixel centres, (H, W), negative inside.

    Returns:
        np.ndarray: ``field`` over the length of its gradient: the same sign everywhere, and the
        distance in pixels to first order near the zero line.
    """
    gradient_y, gradient_x = np.gradient(field)
    return field / np.maximum(np.hypot(gradient_x, gradient_y), 1e-3)


def strokes(
    size: tuple[int, int], starts: np.ndarray, ends: np.ndarray, half_widths: np.ndarray
) -> np.ndarray:
    """Signed distance to a set of thin round-capped segments.

    Args:
        size (tuple[int, int]): Height and width of the pixel grid, whose pixel (row, column) has
            its centre at ``(x, y) = (column + 0.5, row + 0.5)``.
        starts (np.ndarray): First end of every segment, (n, 2) as (x, y) in pixels.
        ends (np.ndarray): Second end of every segment, (n, 2) as (x, y) in pixels.
        half_widths (np.ndarray): Half the thickness at both ends, (n, 2) in pixels.

    Returns:
        np.ndarray: Signed distance, float32 of shape ``size``. It is exact to within two pixels
        outside the strokes (except for the taper, which is measured across the segment) and
        ``FAR`` further away.
    """
    sdf = np.full(size[0] * size[1], FAR, dtype=np.float32)
    pixels, _, distance, half_width = _pixels_near(size, starts, ends, half_widths)
    np.minimum.at(sdf, pixels, (distance - half_width).astype(np.float32))
    return sdf.reshape(size)


def hairs(size: tuple[int, int], points: np.ndarray, half_widths: np.ndarray) -> np.ndarray:
    """Coverage of pixels by hairs, which may be much thinner than a pixel.

    ``clip(0.5 - sdf, 0, 1)`` is too much for strokes of less than a pixel. This is the overlap of
    the stroke's cross-section with one of a pixel around the distance to its centre line.

    Args:
        size (tuple[int, int]): Height and width of the pixel grid, as in ``strokes``.
        points (np.ndarray): Points along every hair, (n, m, 2) as (x, y) in pixels.
        half_widths (np.ndarray): Half the thickness at the points, (n, m) in pixels.

    Returns:
        np.ndarray: The part of each pixel that hairs cover, float32 of shape ``size``, 0 to 1.
        Hairs cover independently of each other.
    """
    area, steps = size[0] * size[1], points.shape[1] - 1
    pixels, segments, distance, half_width = _pixels_near(
        size,
        points[:, :-1].reshape(-1, 2),
        points[:, 1:].reshape(-1, 2),
        np.stack([half_widths[:, :-1], half_widths[:, 1:]], axis=-1).reshape(-1, 2),
    )
    coverage = np.minimum(half_width, distance + 0.5) - np.maximum(-half_width, distance - 0.5)
    # The segments of one hair are one stroke, of which the nearest counts.
    strands, stroke = np.unique(segments // steps * area + pixels, return_inverse=True)
    covered = np.zeros(len(strands))
    np.maximum.at(covered, stroke, np.clip(coverage, 0, 1))
    uncovered = np.ones(area)
    np.multiply.at(uncovered, strands % area, 1 - covered)
    return (1 - uncovered).astype(np.float32).reshape(size)


def _pixels_near(size, starts, ends, half_widths):
    """Pixels within two pixels of segments.

    Returns the flat index of each pixel, the number of the segment, the distance to its centre
    line and half its thickness there, all (k,); a pixel near several segments comes several times.
    """
    height, width = size
    if len(starts) == 0:
        return *np.zeros((2, 0), dtype=np.int64), *np.zeros((2, 0))
    # Segments are short, so one square patch around each covers all the pixels it can touch.
    longest = np.abs(ends - starts).max()
    reach = int(np.ceil(longest / 2 + half_widths.max() + 2))
    offset = np.arange(-reach, reach + 1)
    middle = np.floor((starts + ends) / 2).astype(np.int64)
    columns, rows = np.broadcast_arrays(
        middle[:, 0, None, None] + offset[None, None, :],
        middle[:, 1, None, None] + offset[None, :, None],
    )
    (x0, y0), (x1, y1) = starts.T[..., None, None], ends.T[..., None, None]
    squared, along = _squared_segment_distance(columns + 0.5, rows + 0.5, x0, y0, x1, y1)
    first, last = half_widths.T[..., None, None]
    distance, half_width = np.sqrt(squared), first + (last - first) * along
    inside = (rows >= 0) & (rows < height) & (columns >= 0) & (columns < width)
    near = inside & (distance - half_width < 2)
    segments = np.nonzero(near)[0]
    return (rows * width + columns)[near], segments, distance[near], half_width[near]


def _squared_segment_distance(x, y, x0, y0, x1, y1):
    """Squared distance to a segment, and the nearest point's position along it in [0, 1]."""
    dx, dy = x1 - x0, y1 - y0
    along = ((x - x0) * dx + (y - y0) * dy) / np.maximum(dx * dx + dy * dy, 1e-12)
    along = np.clip(along, 0, 1)
    return (x - x0 - along * dx) ** 2 + (y - y0 - along * dy) ** 2, along


def convex_hull(points: np.ndarray) -> np.ndarray:
    """Corners of the smallest convex polygon around points, for ``polygon``.

    Args:
        points (np.ndarray): At least three points not on one line, (n, 2).

    Returns:
        np.ndarray: The corners in order, (m, 2).
    """
    ordered = sorted(map(tuple, points))
    return np.array(_lower_chain(ordered) + _lower_chain(ordered[::-1]))


def _lower_chain(points):
    """Corners of the hull from the first to the last of sorted points, without the last."""
    chain = []
    for x, y in points:
        while len(chain) > 1:
            (x0, y0), (x1, y1) = chain[-2:]
            if (x1 - x0) * (y - y0) - (y1 - y0) * (x - x0) > 0:
                break
            chain.pop()
        chain.append((x, y))
    return chain[:-1]
