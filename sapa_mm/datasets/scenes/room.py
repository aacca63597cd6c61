"""Generated rooms: an image with the exact depth of every pixel."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from .layout import pixel_centres
from .room_layout import Surface, sample_room
from .scene import check_count, check_size, expose, paint


@dataclass(frozen=True, eq=False)
class Room:
    """An image and its depth. All arrays are read-only.

    Attributes:
        image (np.ndarray): RGB image, uint8 (H, W, 3).
        depth (np.ndarray): Depth in millimetres, uint16 (H, W), from 1000 to 10000; 0 where it
            was not measured.
    """

    image: np.ndarray
    depth: np.ndarray


def generate_room(index: int, seed: int = 0, size: tuple[int, int] = (160, 160)) -> Room:
    """Generate one room.

    The same arguments always give the same room, whatever was generated before.

    Args:
        index (int): Number of the room within its seed, 0 or more.
        seed (int): Seed, 0 or more. Defaults to 0.
        size (tuple[int, int]): Height and width in pixels, each 32 or more. Defaults to
            (160, 160).

    Returns:
        Room: The room.

    Raises:
        ValueError: If ``index`` or ``seed`` is negative or ``size`` is not two integers of at
            least 32.
    """
    size = check_size(size)
    check_count('index', index, 0)
    check_count('seed', seed, 0)
    rng = np.random.default_rng([seed, index])
    _, surfaces = sample_room(rng, size)
    depth = np.round(visible_depth(surfaces, size) * 1000).astype(np.uint16)
    depth[_sample_holes(rng, size)] = 0
    image = expose(rng, paint(rng, surfaces, size))
    image.flags.writeable = depth.flags.writeable = False
    return Room(image, depth)


def visible_depth(surfaces: list[Surface], size: tuple[int, int]) -> np.ndarray:
    """Depth of the surface that each pixel shows; never a blend of two, which would be neither.

    Args:
        surfaces (list[Surface]): The surfaces, back to front; the first covers the whole image.
        size (tuple[int, int]): Height and width in pixels.

    Returns:
        np.ndarray: Depth in metres, float64 (H, W).
    """
    depth = np.zeros(size)
    for surface in surfaces:
        inside = surface.sdf < 0
        depth[surface.window][inside] = surface.depth[inside]
    return depth


def _sample_holes(rng, size):
    """A few round patches that a sensor would miss, bool (H, W)."""
    x, y = pixel_centres((slice(0, size[0]), slice(0, size[1])))
    holes = np.zeros(size, dtype=bool)
    for _ in range(rng.integers(0, 5)):
        radius = min(size) * rng.uniform(0.02, 0.1)
        centre_x, centre_y = rng.uniform(0, size[1]), rng.uniform(0, size[0])
        holes |= (x - centre_x) ** 2 + (y - centre_y) ** 2 < radius * radius
    return holes
