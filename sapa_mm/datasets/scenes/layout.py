"""The layout of a generated scene: a stack of layers, each with a signed distance map."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from . import shapes
from .categories import CATEGORIES, STUFF_CLASSES, THING_CLASSES, Category
from .textures import fractal_noise

_BY_NAME = {category.name: category for category in CATEGORIES}
_MARGIN = 8
"""Pixels kept around the outline of a thing, for its soft edge and its shadow."""


@dataclass(frozen=True, eq=False)
class Layer:
    """One stuff region or one thing. Later layers of a scene occlude earlier ones.

    Attributes:
        category (Category): Class of the layer.
        window (tuple[slice, slice]): Rows and columns of the scene outside of which the layer
            paints nothing.
        sdf (np.ndarray): Signed distance in pixels at the pixel centres of the window, float32
            (h, w). A pixel belongs to the layer where it is negative.
        x, y (np.ndarray): Coordinates in which the texture is painted, float32 (h, w), in pixels.
        radius (float): Extent of the layer in pixels, for its texture.
        shadow (float): Strength of the shadow cast around it, from 0 (none) to 1.
    """

    category: Category
    window: tuple[slice, slice]
    sdf: np.ndarray
    x: np.ndarray
    y: np.ndarray
    radius: float
    shadow: float = 0.0

    def paint(self, rng: np.random.Generator) -> np.ndarray:
        """Paint the window.

        Args:
            rng (np.random.Generator): Source of the texture.

        Returns:
            np.ndarray: Colours, float32 (h, w, 3), about 0 to 1.
        """
        return self.category.texture(rng, self.x, self.y, self.radius)


def sample_layers(rng: np.random.Generator, size: tuple[int, int]) -> list[Layer]:
    """Draw the layers of one scene, back to front.

    Args:
        rng (np.random.Generator): Source of every choice.
        size (tuple[int, int]): Height and width of the scene in pixels.

    Returns:
        list[Layer]: Stuff first, of which the first covers the whole scene, then 6 to 13 things.
    """
    return _sample_stuff(rng, size) + _sample_things(rng, size)


def _sample_stuff(rng, size):
    names = list(rng.permutation(STUFF_CLASSES)[: rng.integers(2, 5)])
    if 'sky' in names and rng.random() < 0.8:
        # The sky is mostly where one expects it: behind everything else, at the top.
        names.remove('sky')
        names.insert(0, 'sky')
    layers = [_layer_around(names[0], np.full(size, -shapes.FAR, dtype=np.float32))]
    for number, name in enumerate(names[1:]):
        border = _horizon if number == 0 else rng.choice([_horizon, _patch, _river])
        sdf = shapes.level_set(border(rng, size))
        if (sdf < 0).any():
            layers.append(_layer_around(name, sdf))
    return layers


def _layer_around(name, sdf):
    """Layer of a distance map of the whole scene, cut to the rows and columns it touches."""
    window = touched_window(sdf)
    x, y = pixel_centres(window)
    return Layer(_BY_NAME[name], window, sdf[window], x, y, float(min(sdf.shape)))


def touched_window(sdf: np.ndarray) -> tuple[slice, slice]:
    """Find the rows and columns of an image that a layer touches.

    Args:
        sdf (np.ndarray): Signed distance of the whole image in pixels, (H, W).

    Returns:
        tuple[slice, slice]: The rows and the columns.
    """
    touched = sdf < 0.5
    rows, columns = np.flatnonzero(touched.any(axis=1)), np.flatnonzero(touched.any(axis=0))
    return slice(rows[0], rows[-1] + 1), slice(columns[0], columns[-1] + 1)


def pixel_centres(window: tuple[slice, slice]) -> tuple[np.ndarray, np.ndarray]:
    """Coordinates of the pixels of a window.

    Args:
        window (tuple[slice, slice]): Rows and columns.

    Returns:
        tuple[np.ndarray, np.ndarray]: x and y in pixels, float32 (h, w).
    """
    rows, columns = window
    y = np.arange(rows.start, rows.stop, dtype=np.float32) + np.float32(0.5)
    x = np.arange(columns.start, columns.stop, dtype=np.float32) + np.float32(0.5)
    return np.meshgrid(x, y)


def _relief(rng, size):
    """Noise that bends stuff borders, in pixels: slow waves with a rough edge on them."""
    side = min(size)
    slow = fractal_noise(rng, size, (side / 3, side / 3), octaves=2) - np.float32(0.5)
    rough = fractal_noise(rng, size, (10, 10), octaves=2) - np.float32(0.5)
    return slow * (side * rng.uniform(0.1, 0.5)) + rough * rng.uniform(0, 9)


def _horizon(rng, size):
    """Everything below a sloping, bent line."""
    x, y = pixel_centres((slice(0, size[0]), slice(0, size[1])))
    line = size[0] * rng.uniform(0.25, 0.75) + (x - size[1] / 2) * rng.uniform(-0.3, 0.3)
    return line - y + _relief(rng, size)


def _patch(rng, size):
    """A bent ellipse."""
    x, y = pixel_centres((slice(0, size[0]), slice(0, size[1])))
    centre_x, centre_y = rng.uniform(0, size[1]), rng.uniform(0.3, 1) * size[0]
    radius = min(size) * rng.uniform(0.2, 0.45)
    distance = np.hypot((x - centre_x) / rng.uniform(1, 2), y - centre_y)
    return distance - radius + _relief(rng, size)


def _river(rng, size):
    """A bent band, narrow enough to be a path."""
    x, y = pixel_centres((slice(0, size[0]), slice(0, size[1])))
    angle = rng.uniform(-0.6, 0.6) + rng.choice([0, np.pi / 2])
    across = (y - size[0] * rng.uniform(0.3, 0.9)) * float(np.cos(angle))
    across -= (x - size[1] * rng.uniform(0.2, 0.8)) * float(np.sin(angle))
    return np.abs(across + _relief(rng, size)) - min(size) * rng.uniform(0.03, 0.1)


def _sample_things(rng, size):
    count = rng.integers(6, 14)
    radii = min(size) * np.exp(rng.uniform(np.log(0.045), np.log(0.27), count))
    # Large things are mostly behind small ones, or few of those would be visible.
    radii = radii[np.argsort(-radii * rng.uniform(0.4, 1, count))]
    names = rng.choice(THING_CLASSES, count)
    return [
        _sample_thing(rng, size, str(name), float(radius))
        for name, radius in zip(names, np.maximum(radii, 5.0), strict=True)
    ]


def _sample_thing(rng, size, name, radius):
    centre = (float(rng.uniform(0.04, 0.96) * size[1]), float(rng.uniform(0.04, 0.96) * size[0]))
    if name == 'strand':
        return _sample_strand(rng, size, centre, max(1.5 * radius, 12.0))
    if name == 'ring':
        # Mostly hole: at the size of the others, it would hardly be visible.
        radius *= 1.4
    window = tuple(
        slice(
            max(int(np.floor(middle - radius - _MARGIN)), 0),
            min(int(np.ceil(middle + radius + _MARGIN)), side),
        )
        for middle, side in zip(centre[::-1], size, strict=True)
    )
    x, y = pixel_centres(window)
    angle = rng.uniform(0, 2 * np.pi)
    cos, sin = float(np.cos(angle)), float(np.sin(angle))
    x, y = x - centre[0], y - centre[1]
    x, y = cos * x + sin * y, cos * y - sin * x
    sdf = OUTLINES[name](rng, x, y, radius)
    shadow = max(float(rng.uniform(-0.5, 0.45)), 0.0)
    return Layer(_BY_NAME[name], window, sdf, x, y, radius, shadow)


def _disk(rng, x, y, radius):
    return shapes.disk(x, y, radius)


def _box(rng, x, y, radius):
    """Anything from a square to a bar of two pixels."""
    angle = float(np.arctan(np.exp(rng.uniform(np.log(0.08), 0))))
    return shapes.box(x, y, radius * float(np.cos(angle)), max(radius * float(np.sin(angle)), 1.0))


def _ring(rng, x, y, radius):
    """From a wire of little more than a pixel to a broad hoop."""
    width = float(np.exp(rng.uniform(np.log(1.4), np.log(max(0.35 * radius, 2.5)))))
    return shapes.ring(x, y, radius - width / 2, width)


def _star(rng, x, y, radius):
    inner = radius * rng.uniform(0.22, 0.5)
    return shapes.polygon(x, y, shapes.star_vertices(int(rng.integers(4, 9)), radius, inner))


def _blob(rng, x, y, radius):
    amplitudes = rng.uniform(-1, 1, 5) * np.array([0.25, 0.25, 0.2, 0.15, 0.1])
    mean = radius / float(1 + np.abs(amplitudes).sum())
    return shapes.blob(x, y, mean, amplitudes, rng.uniform(0, 2 * np.pi, 5))


OUTLINES = {'disk': _disk, 'box': _box, 'ring': _ring, 'star': _star, 'blob': _blob}
"""Signed distance functions ``(rng, x, y, radius) -> sdf`` that draw their own proportions."""


def _sample_strand(rng, size, centre, radius):
    """A tuft: thin, curved, tapering hairs that grow from one root in similar directions."""
    count = int(rng.integers(6, 15))
    steps = max(int(radius / 2.5), 4)
    fan = rng.uniform(0.3, 3.0)
    along = np.linspace(0, 1, steps + 1)
    heading = (
        rng.uniform(0, 2 * np.pi)
        + rng.uniform(-0.5, 0.5, (count, 1)) * fan
        + (rng.uniform(-1.5, 1.5) + rng.uniform(-0.8, 0.8, (count, 1))) * along
        + 0.4 * np.sin(rng.uniform(0, 6.3, (count, 1)) + rng.uniform(3, 9, (count, 1)) * along)
    )
    length = rng.uniform(1.0, 1.9, (count, 1)) * radius / steps
    move = length[..., None] * np.stack([np.cos(heading), np.sin(heading)], axis=-1)
    root = np.array(centre) + rng.uniform(-0.12, 0.12, (count, 1, 2)) * radius
    root[0] = centre  # At least one hair starts inside the scene.
    points = np.concatenate([root, root + np.cumsum(move[:, :-1], axis=1)], axis=1)
    thickness = rng.uniform(0.5, 1.4, (count, 1)) * (1 - along) + 0.5 * along
    sdf = shapes.strokes(
        size,
        points[:, :-1].reshape(-1, 2),
        points[:, 1:].reshape(-1, 2),
        np.stack([thickness[:, :-1], thickness[:, 1:]], axis=-1).reshape(-1, 2),
    )
    return _layer_around('strand', sdf)
