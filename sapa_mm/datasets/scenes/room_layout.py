"""The layout of a generated room: its walls and the things on its floor, seen by a camera."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from . import shapes, textures
from .camera import Camera, Plane
from .layout import pixel_centres, touched_window

FARTHEST = 9.9
"""Depth that no part of a room exceeds, in metres."""

_NEAREST = 1.0
_HAZE = np.float32(0.72)
"""Grey of the haze."""
_HAZE_DEPTH = 5
"""Depth in metres at which 1/e of a colour is left."""
_TEXTURE_SCALE = 24
"""Pixels of a texture per metre, on flat surfaces."""

_DOWN = np.array([0.0, 1.0, 0.0])
_FLOORS = (textures.planks, textures.sand, textures.grass, textures.brick)
_WALLS = (textures.brick, textures.sand, textures.planks, textures.mottle)
_CEILINGS = (textures.sand, textures.planks)
_FURNITURE = (textures.planks, textures.mottle, textures.sand)


@dataclass(frozen=True, eq=False)
class Surface:
    """A part of a room. Later surfaces occlude earlier ones.

    Attributes:
        texture (Callable): How it is painted, see ``sapa_mm.datasets.scenes.textures``.
        window (tuple[slice, slice]): Rows and columns of the image outside of which the surface
            paints nothing.
        sdf (np.ndarray): Signed distance in pixels at the pixel centres of the window, (h, w). A
            pixel shows the surface where it is negative.
        depth (np.ndarray): Depth in metres, float64 (h, w).
        x, y (np.ndarray): Coordinates in which the texture is painted, float32 (h, w), in pixels.
        radius (float): Extent of the surface in pixels, for its texture.
        light (np.ndarray | float): Brightness, by which the colours are multiplied; (h, w) or one
            for all. Defaults to 1.
    """

    texture: Callable[..., np.ndarray]
    window: tuple[slice, slice]
    sdf: np.ndarray
    depth: np.ndarray
    x: np.ndarray
    y: np.ndarray
    radius: float
    light: np.ndarray | float = 1.0
    shadow: ClassVar[float] = 0.0

    def paint(self, rng: np.random.Generator) -> np.ndarray:
        """Paint the window, with the haze before it.

        Args:
            rng (np.random.Generator): Source of the texture.

        Returns:
            np.ndarray: Colours, float32 (h, w, 3), about 0 to 1.
        """
        colour = self.texture(rng, self.x, self.y, self.radius)
        lit = colour * np.asarray(self.light, dtype=np.float32)[..., None]
        clear = np.exp(-self.depth / _HAZE_DEPTH).astype(np.float32)[..., None]
        return _HAZE + (lit - _HAZE) * clear


@dataclass(frozen=True)
class Shell:
    """Floor, ceiling and walls of a room, and the camera in it.

    Attributes:
        camera (Camera): The camera.
        size (tuple[int, int]): Height and width of the image in pixels.
        floor, ceiling (Plane): Their first axes go along the back wall.
        walls (tuple[Plane, ...]): Back, left and right wall; their second axes go down.
    """

    camera: Camera
    size: tuple[int, int]
    floor: Plane
    ceiling: Plane
    walls: tuple[Plane, ...]

    @property
    def height(self) -> float:
        """Height of the camera above the floor in metres."""
        return float(self.floor.origin[1])

    def clearance(self, point: np.ndarray) -> float:
        """Distance in metres from a point inside the room to the nearest wall."""
        return min(float(abs(((wall.origin - point) * wall.normal).sum())) for wall in self.walls)


def sample_room(rng: np.random.Generator, size: tuple[int, int]) -> tuple[Shell, list[Surface]]:
    """Draw the camera and the surfaces of one room.

    Args:
        rng (np.random.Generator): Source of every choice.
        size (tuple[int, int]): Height and width of the image in pixels.

    Returns:
        tuple[Shell, list[Surface]]: The empty room, and all surfaces: its own, of which the first
        covers the whole image, then those of things, far to near.
    """
    shell = sample_shell(rng, size)
    surfaces = shell_surfaces(rng, shell)
    for place, radius in sample_places(rng, shell):
        surfaces += THINGS[rng.choice(list(THINGS))](rng, shell, place, radius)
    return shell, surfaces


def sample_shell(rng: np.random.Generator, size: tuple[int, int]) -> Shell:
    """Draw an empty room and the camera in it.

    Args:
        rng (np.random.Generator): Source of every choice.
        size (tuple[int, int]): Height and width of the image in pixels.

    Returns:
        Shell: The room. All that the camera sees of it is 1 to 10 m deep.
    """
    height, width = size
    camera = Camera(
        focal=float(rng.uniform(0.8, 1.8)) * max(size),
        column=float(rng.uniform(0.35, 0.65)) * width,
        horizon=float(rng.uniform(0.25, 0.65)) * height,
    )
    right, forward = _turned(rng, 0.4)
    left_distance, right_distance = rng.uniform(1.2, 3.5, 2)
    # One of the far corners is the farthest point of the room.
    corner = max(-left_distance * right[2], right_distance * right[2])
    distance = (rng.uniform(2.8, FARTHEST) - corner) / forward[2]
    return Shell(
        camera,
        size,
        floor=Plane(_DOWN * rng.uniform(1.0, 1.9), right, forward),
        ceiling=Plane(_DOWN * -rng.uniform(0.9, 1.8), right, forward),
        walls=(
            Plane(forward * distance, right, _DOWN),
            Plane(right * -left_distance, forward, _DOWN),
            Plane(right * right_distance, forward, _DOWN),
        ),
    )


def _turned(rng, most):
    """Two horizontal axes, turned by an angle whose tangent is at most this."""
    # Not by cosine and sine, whose last digits depend on the machine.
    tangent = rng.uniform(-most, most)
    right = np.array([1.0, 0.0, -tangent]) / np.sqrt(1 + tangent * tangent)
    return right, np.array([-right[2], 0.0, right[0]])


def shell_surfaces(rng: np.random.Generator, shell: Shell) -> list[Surface]:
    """Draw how an empty room is painted.

    Of all the planes around it, the camera sees the nearest: that of the largest inverse depth.

    Args:
        rng (np.random.Generator): Source of every choice.
        shell (Shell): The empty room.

    Returns:
        list[Surface]: Its surfaces, of which the first covers the whole image.
    """
    planes = [*shell.walls, shell.ceiling, shell.floor]
    kinds = [*[rng.choice(_WALLS)] * 3, rng.choice(_CEILINGS), rng.choice(_FLOORS)]
    rays = shell.camera.rays(shell.size)
    nearest = np.full(shell.size, -np.inf)
    surfaces = []
    for plane, texture in zip(planes, kinds, strict=True):
        inverse = plane.inverse_depth(rays)
        if surfaces:
            # The distance map wants a slope of about one.
            sdf = shapes.level_set((nearest - inverse) * shell.camera.focal)
        else:
            sdf = np.full(shell.size, -shapes.FAR)
        nearest = np.maximum(nearest, inverse)
        if (sdf < 0).any():
            window = touched_window(sdf)
            # At its border, a pixel may lie beyond the plane's own horizon.
            depth = 1 / np.maximum(inverse[window], 1 / FARTHEST)
            x, y = plane.coordinates(rays[window] * depth[..., None])
            surfaces.append(
                _surface(texture, window, sdf, depth, x, y, rng.uniform(0.75, 1.05), shell.size)
            )
    return surfaces


def _surface(texture, window, sdf, depth, x, y, light, size):
    """A flat surface; coordinates in metres."""
    scale = np.float32(_TEXTURE_SCALE)
    x, y = x.astype(np.float32) * scale, y.astype(np.float32) * scale
    sdf = sdf[window].astype(np.float32)
    return Surface(texture, window, sdf, depth, x, y, float(min(size)), light)


def sample_places(rng: np.random.Generator, shell: Shell) -> list[tuple[np.ndarray, float]]:
    """Draw where things stand, clear of the walls and of each other.

    Args:
        rng (np.random.Generator): Source of every choice.
        shell (Shell): The empty room.

    Returns:
        list[tuple[np.ndarray, float]]: Up to 10 points of the floor, and how far a thing may reach
        from there, in metres; far to near.
    """
    places = []
    for _ in range(rng.integers(15, 60)):
        radius = rng.uniform(0.15, 0.6)
        column = rng.uniform(0, shell.size[1])
        x = (column - shell.camera.column) / shell.camera.focal
        depth = rng.uniform(_NEAREST + radius, FARTHEST - radius)
        place = np.array([x * depth, shell.height, depth])
        behind = 1 / depth < max(
            float(wall.inverse_depth(np.array([x, 0.0, 1.0]))) for wall in shell.walls
        )
        if behind or shell.clearance(place) < radius:
            continue
        if all(((place - other) ** 2).sum() > (radius + reach) ** 2 for other, reach in places):
            places.append((place, radius))
    return sorted(places, key=lambda entry: -entry[0][2])[:10]


def _ball(rng, shell, place, radius):
    centre, reach = _centre(shell, place, radius)
    x, y = _pixels(shell)
    x, y = x - np.float32(centre[0]), y - np.float32(centre[1])
    sdf = shapes.disk(x, y, reach)
    if not (sdf < 0).any():
        return []
    window = touched_window(sdf)
    x, y = x[window], y[window]
    bulge = np.sqrt(np.maximum(1 - (x.astype(float) ** 2 + y.astype(float) ** 2) / reach**2, 0))
    return [Surface(textures.ball, window, sdf[window], place[2] - radius * bulge, x, y, reach)]


def _ring(rng, shell, place, radius):
    """A hoop that stands on the floor, from a wire of little more than a pixel on."""
    centre, reach = _centre(shell, place, radius)
    width = max(rng.uniform(0.02, 0.12) * shell.camera.focal / place[2], 1.4)
    x, y = _pixels(shell)
    x, y = x - np.float32(centre[0]), y - np.float32(centre[1])
    return _upright(textures.metal, shapes.ring(x, y, reach - width / 2, width), place, reach, x, y)


def _pixels(shell):
    return pixel_centres((slice(0, shell.size[0]), slice(0, shell.size[1])))


def _centre(shell, place, radius):
    """Centre and radius, in pixels, of something round that stands on the floor."""
    x, y = shell.camera.project(place - radius * _DOWN)
    return (x, y), float(radius * shell.camera.focal / place[2])


def _plant(rng, shell, place, radius):
    """Thin stems that rise from one root and bend."""
    count, steps = int(rng.integers(5, 14)), 12
    along = np.linspace(0, 1, steps + 1)
    rise = rng.uniform(1, 3) * radius * rng.uniform(0.5, 1, (count, 1))
    lean = radius * rng.uniform(-1, 1, (count, 1))
    points = place + np.stack(
        [
            lean * along * along + rng.uniform(-0.1, 0.1, (count, 1)) * radius,
            -rise * along * (1.2 - 0.2 * along),
            np.zeros((count, steps + 1)),
        ],
        axis=-1,
    )
    points = shell.camera.project(points)
    thickness = rng.uniform(0.005, 0.02, (count, 1)) * shell.camera.focal / place[2]
    thickness = np.maximum(thickness * (1 - 0.5 * along), 0.6)
    sdf = shapes.strokes(
        shell.size,
        points[:, :-1].reshape(-1, 2),
        points[:, 1:].reshape(-1, 2),
        np.stack([thickness[:, :-1], thickness[:, 1:]], axis=-1).reshape(-1, 2),
    )
    x, y = _pixels(shell)
    return _upright(textures.hair, sdf, place, float(min(shell.size)), x, y)


def _upright(texture, sdf, place, radius, x, y):
    """Something thin and flat, all of it at the depth of its place; at most one surface."""
    if not (sdf < 0).any():
        return []
    window = touched_window(sdf)
    depth = np.full(sdf[window].shape, place[2])
    return [Surface(texture, window, sdf[window], depth, x[window], y[window], radius)]


def _box(rng, shell, place, radius):
    """From a low chest to a cupboard that is higher than the camera."""
    axes = _turned(rng, 1.0)
    half = radius * rng.uniform(0.3, 1.0, 2) / np.sqrt(2)
    texture = rng.choice(_FURNITURE)
    return _cuboid(shell, place, axes, half, rng.uniform(0.3, 1.8), texture)


def _table(rng, shell, place, radius):
    """Four thin legs and a board, which is always below the camera."""
    axes = _turned(rng, 1.0)
    top, board = rng.uniform(0.4, 0.9), rng.uniform(0.03, 0.07)
    half = radius * np.array([1.0, rng.uniform(0.5, 1.0)]) / np.sqrt(2)
    leg = np.full(2, rng.uniform(0.015, 0.04))
    corners = [
        place + (half[0] - leg[0]) * a * axes[0] + (half[1] - leg[1]) * b * axes[1]
        for a in (-1, 1)
        for b in (-1, 1)
    ]
    texture = rng.choice(_FURNITURE)
    surfaces = []
    for corner in sorted(corners, key=lambda corner: -corner[2]):
        surfaces += _cuboid(shell, corner, axes, leg, top - board, textures.hair)
    raised = place - (top - board) * _DOWN
    return surfaces + _cuboid(shell, raised, axes, half, board, texture)


def _cuboid(shell, place, axes, half, height, texture):
    """A cuboid that stands on a place below the camera; at most one surface.

    Of the planes of its visible faces, a ray meets that of the smallest inverse depth last, and
    there enters the cuboid.
    """
    right, forward = axes
    corners = np.array(
        [
            place + a * half[0] * right + b * half[1] * forward - level * _DOWN
            for a in (-1, 1)
            for b in (-1, 1)
            for level in (0, height)
        ]
    )
    x, y = _pixels(shell)
    sdf = shapes.polygon(x, y, shapes.convex_hull(shell.camera.project(corners)))
    if not (sdf < 0).any():
        return []
    window = touched_window(sdf)
    rays = shell.camera.rays(shell.size)[window]
    faces = [
        (Plane(place - height * _DOWN, right, forward), -_DOWN, 1.1),
        *[
            (Plane(place + sign * reach * axis, other, _DOWN), sign * axis, light)
            for axis, other, reach, light in (
                (right, forward, half[0], 0.7),
                (forward, right, half[1], 0.9),
            )
            for sign in (-1, 1)
        ],
    ]
    faces = [face for face in faces if (face[0].origin * face[1]).sum() < 0]
    inverse = np.stack([plane.inverse_depth(rays) for plane, _, _ in faces])
    face = inverse.argmin(axis=0)
    # Pixels that are only touched may lie beyond all faces.
    depth = 1 / np.clip(inverse.min(axis=0), 1 / FARTHEST, 1 / _NEAREST)
    points = rays * depth[..., None]
    coordinates = np.array([plane.coordinates(points) for plane, _, _ in faces])
    x, y = np.take_along_axis(coordinates, face[None, None], axis=0)[0]
    light = np.array([light for _, _, light in faces])[face]
    return [_surface(texture, window, sdf, depth, x, y, light, shell.size)]


THINGS = {'ball': _ball, 'ring': _ring, 'plant': _plant, 'box': _box, 'table': _table}
"""Functions ``(rng, shell, place, radius) -> surfaces`` that draw one thing, back to front.

``place`` is the point of the floor on which it stands, and ``radius`` how far it may reach from
there, both in metres. A thing outside the image has no surfaces.
"""
