"""The foreground of a generated matte: hair, a net, a veil or a soft edge."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from . import shapes, textures
from .layout import OUTLINES, pixel_centres
from .textures import fractal_noise

_SURFACES = (
    textures.ball,
    textures.planks,
    textures.metal,
    textures.glow,
    textures.mottle,
    textures.brick,
    textures.sand,
)


@dataclass(frozen=True, eq=False)
class Part:
    """A part of a foreground. Later parts are in front of earlier ones.

    Attributes:
        colour (np.ndarray): Its colour, painted everywhere, float32 (H, W, 3), about 0 to 1.
        coverage (np.ndarray): How much of each pixel it covers, float32 (H, W), 0 to 1.
    """

    colour: np.ndarray
    coverage: np.ndarray


def join_parts(parts: list[Part]) -> Part:
    """Join parts to one that looks the same in front of any background.

    Args:
        parts (list[Part]): The parts, back to front.

    Returns:
        Part: The foreground; where nothing is covered, its colour is that of the last part.
    """
    colour, alpha = np.float32(0), np.float32(0)
    for part in parts:
        alpha = alpha + part.coverage * (1 - alpha)
        share = np.divide(part.coverage, alpha, out=np.ones_like(alpha), where=alpha > 0)
        colour = colour + (part.colour - colour) * share[..., None]
    return Part(colour, alpha)


def hair(rng: np.random.Generator, size: tuple[int, int]) -> list[Part]:
    """A body with hairs along its outline, at their tips a fifth of a pixel thick."""
    body = _sample_shape(rng, size, ('disk', 'star', 'blob'), 0.18, 0.3)
    surface = _sample_surface(rng)
    coat = textures.hair if rng.random() < 0.6 else surface
    return [
        Part(body.paint(rng, surface), _coverage(body.sdf)),
        Part(body.paint(rng, coat), shapes.hairs(size, *_grow_hairs(rng, body))),
    ]


def net(rng: np.random.Generator, size: tuple[int, int]) -> list[Part]:
    """Threads across each other in a hoop, with or without a body behind them."""
    hoop = _sample_shape(rng, size, ('disk', 'blob'), 0.28, 0.45)
    threads = shapes.hairs(size, *_weave(rng, hoop)) * _coverage(hoop.sdf)
    rim = _coverage(np.abs(hoop.sdf) - np.float32(rng.uniform(0.6, 2.5)))
    colour = hoop.paint(rng, _sample_surface(rng))
    return [*_sample_bodies(rng, size), Part(colour, np.maximum(threads, rim))]


def veil(rng: np.random.Generator, size: tuple[int, int]) -> list[Part]:
    """A cloth that shows what is behind it, with or without a body behind it."""
    cloth = _sample_shape(rng, size, ('disk', 'box', 'star', 'blob'), 0.28, 0.45)
    folds = fractal_noise(rng, size, (cloth.radius / 2, cloth.radius / 2), octaves=2)
    low, high = np.sort(rng.uniform(0.2, 0.8, 2)).astype(np.float32)
    coverage = _coverage(cloth.sdf) * (low + (high - low) * folds)
    colour = cloth.paint(rng, _sample_surface(rng))
    return [*_sample_bodies(rng, size), Part(colour, coverage)]


def soft(rng: np.random.Generator, size: tuple[int, int]) -> list[Part]:
    """A body out of focus, whose border fades over 3 to 15 pixels."""
    body = _sample_shape(rng, size, tuple(OUTLINES), 0.22, 0.4)
    coverage = _coverage(body.sdf / np.float32(rng.uniform(3, 15)))
    return [Part(body.paint(rng, _sample_surface(rng)), coverage)]


FOREGROUNDS = (hair, net, veil, soft)
"""The kinds of foregrounds; the matte with index ``i`` has kind ``i`` modulo their number."""


@dataclass(frozen=True, eq=False)
class _Shape:
    """A shape near the middle of the image, turned by an angle.

    x and y are the coordinates, in pixels, of all pixels in the shape's own frame.
    """

    centre: np.ndarray
    angle: float
    radius: float
    x: np.ndarray
    y: np.ndarray
    sdf: np.ndarray

    def paint(self, rng, texture):
        return texture(rng, self.x, self.y, self.radius)

    def place(self, points):
        """Points (..., 2) of the shape's frame in the image."""
        x, y = points[..., 0], points[..., 1]
        cos, sin = np.cos(self.angle), np.sin(self.angle)
        return self.centre + np.stack([cos * x - sin * y, sin * x + cos * y], axis=-1)


def _sample_shape(rng, size, names, low, high):
    """Draw a shape with a radius of ``low`` to ``high`` times the shorter side."""
    centre = rng.uniform(0.35, 0.65, 2) * size[::-1]
    angle = rng.uniform(0, 2 * np.pi)
    radius = float(rng.uniform(low, high) * min(size))
    x, y = pixel_centres((slice(0, size[0]), slice(0, size[1])))
    x, y = x - np.float32(centre[0]), y - np.float32(centre[1])
    cos, sin = np.float32(np.cos(angle)), np.float32(np.sin(angle))
    x, y = cos * x + sin * y, cos * y - sin * x
    return _Shape(centre, angle, radius, x, y, OUTLINES[str(rng.choice(names))](rng, x, y, radius))


def _sample_surface(rng):
    return _SURFACES[rng.integers(len(_SURFACES))]


def _sample_bodies(rng, size):
    """One opaque body, or none."""
    if rng.random() < 0.5:
        return []
    body = _sample_shape(rng, size, ('disk', 'star', 'blob'), 0.1, 0.25)
    return [Part(body.paint(rng, _sample_surface(rng)), _coverage(body.sdf))]


def _coverage(sdf):
    return np.clip(np.float32(0.5) - sdf, 0, 1)


def _grow_hairs(rng, body):
    """Points along hairs that grow from an outline, and half their thickness there."""
    gradient_y, gradient_x = np.gradient(body.sdf)
    rows, columns = np.nonzero(np.abs(body.sdf) < 1)
    chosen = rng.integers(len(rows), size=int(len(rows) * rng.uniform(0.4, 1.2)))
    rows, columns = rows[chosen, None], columns[chosen, None]
    outwards = np.arctan2(gradient_y[rows, columns], gradient_x[rows, columns])
    steps = max(int(body.radius / 4), 6)
    along = np.linspace(0, 1, steps + 1)
    # Combed to one side, in locks, with curls that all share and some of their own.
    locks = np.sin(int(rng.integers(2, 7)) * outwards + rng.uniform(0, 6.3)) * rng.uniform(0, 0.8)
    heading = outwards + rng.uniform(-0.9, 0.9) + locks + rng.normal(0, 0.25, outwards.shape)
    heading = heading + (rng.uniform(-1.2, 1.2) + rng.normal(0, 0.5, outwards.shape)) * along[1:]
    length = body.radius * rng.uniform(0.4, 1.1) * rng.uniform(0.4, 1, outwards.shape) / steps
    moves = length[..., None] * np.stack([np.cos(heading), np.sin(heading)], axis=-1)
    roots = np.stack([columns, rows], axis=-1) + rng.uniform(0, 1, (len(rows), 1, 2))
    points = np.concatenate([roots, roots + np.cumsum(moves, axis=1)], axis=1)
    return points, rng.uniform(0.25, 0.6, outwards.shape) * (1 - along) + 0.1 * along


def _weave(rng, hoop):
    """Points along the bent threads of a net, and half their thickness there."""
    pitch = rng.uniform(6, 12)
    offsets = np.arange(-hoop.radius, hoop.radius, pitch)[:, None]
    along = np.linspace(-hoop.radius, hoop.radius, int(hoop.radius / 2) + 2)
    threads = []
    for _ in range(2):
        wave = np.sin(rng.uniform(1, 4) * along / hoop.radius + rng.uniform(0, 6.3))
        across = offsets + rng.uniform(0, 2 * pitch) * wave
        threads.append(np.stack(np.broadcast_arrays(along, across), axis=-1))
    # The second direction is the first, transposed.
    points = hoop.place(np.concatenate([threads[0], threads[1][..., ::-1]]))
    return points, np.full(points.shape[:2], rng.uniform(0.4, 1.2))
