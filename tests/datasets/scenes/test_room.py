import numpy as np
import pytest

from sapa_mm.datasets import generate_room
from sapa_mm.datasets.scenes import textures
from sapa_mm.datasets.scenes.camera import Camera, Plane
from sapa_mm.datasets.scenes.room import visible_depth
from sapa_mm.datasets.scenes.room_layout import (
    FARTHEST,
    THINGS,
    Shell,
    Surface,
    sample_places,
    sample_room,
    sample_shell,
    shell_surfaces,
)

SIZES = [(160, 160), (121, 93), (32, 32), (33, 200)]
SIZE = (96, 128)


def rng(number):
    return np.random.default_rng([5, number])


@pytest.fixture(scope='module')
def rooms():
    return [generate_room(index) for index in range(40)]


def test_a_room_depends_on_its_own_index_and_seed_only():
    first = generate_room(5, seed=3)
    generate_room(6, seed=3)
    again = generate_room(5, seed=3)
    np.testing.assert_array_equal(first.image, again.image)
    np.testing.assert_array_equal(first.depth, again.depth)
    for other in (generate_room(6, seed=3), generate_room(5, seed=4)):
        assert (other.image != first.image).mean() > 0.5
        assert (other.depth != first.depth).mean() > 0.5


@pytest.mark.parametrize('size', SIZES)
def test_arrays(size):
    for index in range(6):
        room = generate_room(index, seed=1, size=size)
        assert room.image.shape == (*size, 3)
        assert room.image.dtype == np.uint8
        assert room.depth.shape == size
        assert room.depth.dtype == np.uint16
        measured = room.depth[room.depth > 0]
        assert measured.min() >= 1000
        assert measured.max() <= 1000 * FARTHEST
        for array in (room.image, room.depth):
            with pytest.raises(ValueError, match='read-only'):
                array[0, 0] = 0


def test_some_depth_is_missing(rooms):
    missing = [(room.depth == 0).mean() for room in rooms]
    assert min(missing) == 0
    assert 0.005 < np.mean(missing) < 0.1
    assert max(missing) < 0.3


def test_the_row_does_not_tell_the_depth(rooms):
    """The best guess that looks at no image: the median of each pixel."""
    depth = np.ma.masked_equal([room.depth for room in rooms], 0).astype(float)
    ratio = depth / np.ma.median(depth, axis=0)
    assert (np.maximum(ratio, 1 / ratio) < 1.25).mean() < 0.5


@pytest.mark.parametrize('size', [SIZE, (40, 160), (160, 40)])
def test_the_nearest_plane_of_a_room_is_seen(size):
    y = np.arange(size[0])[:, None] + 0.5
    for number in range(12):
        generator = rng(number)
        shell = sample_shell(generator, size)
        depth = visible_depth(shell_surfaces(generator, shell), size)
        rays = shell.camera.rays(size)
        planes = [shell.floor, shell.ceiling, *shell.walls]
        inverse = np.array([plane.inverse_depth(rays) for plane in planes])
        np.testing.assert_allclose(1 / depth, inverse.max(axis=0))
        # The floor: linear in the row, 0 at the horizon.
        floor = (y - shell.camera.horizon) / (shell.camera.focal * shell.height) + np.zeros(size)
        on_floor = inverse.argmax(axis=0) == 0
        np.testing.assert_allclose(1 / depth[on_floor], floor[on_floor])
        assert depth.min() >= 1
        assert depth.max() <= FARTHEST
        assert shell.clearance(np.zeros(3)) > 1


def test_things_are_inside_the_room():
    for number in range(30):
        generator = rng(number)
        shell, surfaces = sample_room(generator, SIZE)
        rays = shell.camera.rays(SIZE)
        planes = [shell.floor, shell.ceiling, *shell.walls]
        inverse = np.max([plane.inverse_depth(rays) for plane in planes], axis=0)
        # A pixel's centre may lie just below a foot.
        assert (visible_depth(surfaces, SIZE) * inverse).max() < 1.04


SIDE = 240
RIGHT, DOWN, FORWARD = np.eye(3)


@pytest.fixture
def shell():
    """An empty room, 1.4 m below the camera and 9 m before it."""
    return Shell(
        Camera(focal=240.0, column=115.0, horizon=80.0),
        (SIDE, SIDE),
        floor=Plane(1.4 * DOWN, RIGHT, FORWARD),
        ceiling=Plane(-1.2 * DOWN, RIGHT, FORWARD),
        walls=(
            Plane(9 * FORWARD, RIGHT, DOWN),
            Plane(-3 * RIGHT, FORWARD, DOWN),
            Plane(3 * RIGHT, FORWARD, DOWN),
        ),
    )


def put(name, shell, depth, number=0, radius=0.4):
    """Surfaces of a thing in the middle of the image."""
    return THINGS[name](rng(number), shell, np.array([0.1, 1.4, depth]), radius)


@pytest.mark.parametrize('name', THINGS)
def test_a_thing_stands_on_the_floor_where_its_depth_says(shell, name):
    def floor_row(depth):
        return 80 + 240 * 1.4 / depth

    for number in range(12):
        nearest, lowest = np.inf, 0
        for surface in put(name, shell, 3.0, number):
            inside = surface.sdf < 0
            rows = np.arange(SIDE)[surface.window[0]]
            nearest = min(nearest, surface.depth[inside].min())
            lowest = max(lowest, rows[inside.any(axis=1)].max() + 1)
        assert 2.6 - 1e-6 <= nearest <= 3
        if name == 'ball':
            # Its nearest point is in its middle; it touches the floor below its centre.
            nearest = 3
        assert lowest == pytest.approx(floor_row(nearest), abs=2)


def test_a_box_meets_the_floor_along_its_lower_edges(shell):
    """Depth is continuous there: that of the floor, seen through the same pixel."""
    checked = 0
    for number in range(12):
        (box,) = put('box', shell, 3.0, number)
        floor = shell.floor.inverse_depth(shell.camera.rays(shell.size))[box.window]
        inside = box.sdf < 0
        for column in np.flatnonzero(inside.any(axis=0)):
            row = np.flatnonzero(inside[:, column])[-1]
            checked += 1
            assert box.depth[row, column] * floor[row, column] == pytest.approx(1, abs=0.03)
    assert checked > 200


def test_a_ball_bulges_towards_the_camera(shell):
    (ball,) = put('ball', shell, 3.0)
    assert ball.sdf.min() == pytest.approx(-0.4 * 240 / 3, abs=1)
    assert ball.depth.min() == pytest.approx(2.6, abs=0.001)
    rim = np.abs(ball.sdf) < 0.1
    assert rim.any()
    assert 2.9 < ball.depth[rim].mean() <= 3


def test_things_shrink_with_their_depth(shell):
    areas = np.array([(put('ball', shell, z)[0].sdf < 0).sum() for z in (2.5, 5.0, 7.5)])
    np.testing.assert_allclose(areas[0] / areas, [1, 4, 9], rtol=0.03)


def test_a_thing_outside_the_image_has_no_surfaces(shell):
    place = np.array([2.4, 1.4, 2.0])
    assert all(thing(rng(0), shell, place, 0.2) == [] for thing in THINGS.values())


def test_things_come_far_to_near_and_stay_apart():
    found = 0
    for number in range(10):
        generator = rng(number)
        shell = sample_shell(generator, SIZE)
        places = sample_places(generator, shell)
        found += len(places)
        depths = [place[2] for place, _ in places]
        assert depths == sorted(depths, reverse=True)
        for place, radius in places:
            assert place[1] == shell.height
            assert shell.clearance(place) >= radius
            assert place[2] - radius >= 1
            others = [other for other, _ in places if other is not place]
            assert all(np.hypot(*(place - other)[[0, 2]]) > radius for other in others)
    assert found > 30


def surface(depth, sdf, texture=textures.sand):
    y, x = np.mgrid[0:40, 0:40].astype(np.float32)
    depth = np.full((40, 40), depth)
    return Surface(texture, (slice(0, 40), slice(0, 40)), sdf, depth, x, y, 40.0)


def test_depth_is_never_a_blend():
    x = np.broadcast_to(np.arange(40.0) + 0.5, (40, 40))
    # The border runs through the middle of a column of pixels, and then just beside it.
    for border, count in ((20.5, 20), (20.51, 21)):
        near = surface(2.0, x - border)
        depth = visible_depth([surface(9.0, np.full((40, 40), -1e3)), near], (40, 40))
        assert set(np.unique(depth)) == {2.0, 9.0}
        assert (depth[0] == 2).sum() == count


def test_haze_hides_what_is_far():
    def white_or_black(rng, x, y, radius):
        return np.repeat((x % 2)[..., None], 3, axis=2)

    everywhere = np.full((40, 40), -1e3)
    for depth in (1.0, 4.0, 8.0):
        colour = surface(depth, everywhere, white_or_black).paint(rng(0))
        assert np.ptp(colour) == pytest.approx(np.exp(-depth / 5))
