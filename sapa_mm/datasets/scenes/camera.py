"""The camera of a generated room, and what it sees of a plane.

Coordinates are metres: x to the right, y down, z forward, the camera at the origin. A camera looks
straight ahead, and its lens is shifted, so that upright edges stay upright in the image.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np


@dataclass(frozen=True)
class Camera:
    """A pinhole camera.

    Attributes:
        focal (float): Focal length in pixels.
        column, horizon (float): Where the direction of view meets the image, in pixels.
    """

    focal: float
    column: float
    horizon: float

    def project(self, points: np.ndarray) -> np.ndarray:
        """Project points in front of the camera.

        Args:
            points (np.ndarray): Points in metres, (..., 3).

        Returns:
            np.ndarray: x and y in pixels, (..., 2).
        """
        centre = np.array([self.column, self.horizon])
        return centre + self.focal * points[..., :2] / points[..., 2:]

    def rays(self, size: tuple[int, int]) -> np.ndarray:
        """Rays through the pixel centres.

        Args:
            size (tuple[int, int]): Height and width of the image.

        Returns:
            np.ndarray: Points of the rays at a depth of one metre, float64 (H, W, 3).
        """
        x = (np.arange(size[1]) + 0.5 - self.column) / self.focal
        y = (np.arange(size[0]) + 0.5 - self.horizon) / self.focal
        return np.stack(np.broadcast_arrays(x, y[:, None], 1.0), axis=-1)


@dataclass(frozen=True, eq=False)
class Plane:
    """A plane with coordinates.

    Attributes:
        origin (np.ndarray): A point of it in metres, (3,); the camera is not in the plane.
        first, second (np.ndarray): Its two axes, orthogonal unit vectors, (3,).
    """

    origin: np.ndarray
    first: np.ndarray
    second: np.ndarray

    @cached_property
    def normal(self) -> np.ndarray:
        """Unit vector at right angles to the plane, (3,)."""
        return np.cross(self.first, self.second)

    def inverse_depth(self, rays: np.ndarray) -> np.ndarray:
        """Inverse depth at which rays meet the plane, linear in a pixel's row and column.

        Args:
            rays (np.ndarray): Points of the rays at a depth of one metre, (..., 3).

        Returns:
            np.ndarray: Inverse depth in 1/m, (...); 0 or less where the plane is not met.
        """
        return _dot(rays, self.normal) / _dot(self.origin, self.normal)

    def coordinates(self, points: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Coordinates of points of the plane.

        Args:
            points (np.ndarray): Points in metres, (..., 3).

        Returns:
            tuple[np.ndarray, np.ndarray]: First and second coordinate in metres, (...).
        """
        return _dot(points - self.origin, self.first), _dot(points - self.origin, self.second)


def _dot(vectors, vector):
    # A sum in a fixed order, not a product by BLAS: the result must not depend on that.
    x, y, z = vector
    return vectors[..., 0] * x + vectors[..., 1] * y + vectors[..., 2] * z
