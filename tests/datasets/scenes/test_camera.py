import numpy as np
import pytest

from sapa_mm.datasets.scenes.camera import Camera, Plane

CAMERA = Camera(focal=100.0, column=40.0, horizon=25.0)
SIZE = (60, 80)
RIGHT, DOWN, FORWARD = np.eye(3)


def test_rays_go_through_the_pixel_centres():
    rays = CAMERA.rays(SIZE)
    assert rays.shape == (*SIZE, 3)
    pixels = CAMERA.project(rays * 3.7)
    y, x = np.mgrid[: SIZE[0], : SIZE[1]] + 0.5
    np.testing.assert_allclose(pixels, np.stack([x, y], axis=-1), atol=1e-12)


@pytest.mark.parametrize(
    ('plane', 'inverse'),
    [
        # f = 100: 1.5 m below the camera, the floor is 1.5 * 100 / (rows below the horizon) deep.
        (Plane(1.5 * DOWN, RIGHT, FORWARD), lambda x, y: (y - 25) / 150),
        (Plane(-2 * DOWN, RIGHT, FORWARD), lambda x, y: (25 - y) / 200),
        (Plane(4 * FORWARD, RIGHT, DOWN), lambda x, y: 0.25 + 0 * x),
        (Plane(3 * RIGHT, FORWARD, DOWN), lambda x, y: (x - 40) / 300),
    ],
)
def test_inverse_depth_of_floor_ceiling_and_walls(plane, inverse):
    y, x = np.mgrid[: SIZE[0], : SIZE[1]] + 0.5
    np.testing.assert_allclose(plane.inverse_depth(CAMERA.rays(SIZE)), inverse(x, y), atol=1e-12)


def test_a_slanted_plane_has_the_depth_of_its_own_points():
    right = np.array([0.8, 0.0, 0.6])
    plane = Plane(np.array([0.3, -0.2, 5.0]), right, DOWN)
    along = np.array([[-1.0, 0.4], [0.5, -0.7], [2.0, 1.0]])
    points = plane.origin + along[:, :1] * right + along[:, 1:] * DOWN
    rays = points / points[:, 2:]
    np.testing.assert_allclose(1 / plane.inverse_depth(rays), points[:, 2])
    np.testing.assert_allclose(np.transpose(plane.coordinates(points)), along, atol=1e-12)
