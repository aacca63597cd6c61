import numpy as np
import pytest

from sapa_mm.datasets.scenes import shapes


def grid(size=64):
    centres = np.arange(size) + 0.5 - size / 2
    return np.meshgrid(centres, centres)


def circle(radius, count=4000):
    angle = np.linspace(0, 2 * np.pi, count)
    return np.stack([radius * np.cos(angle), radius * np.sin(angle)], axis=1)


def along_edges(vertices, count=400):
    steps = np.linspace(0, 1, count)[:, None]
    ends = np.roll(vertices, -1, axis=0)
    return np.concatenate([a + (b - a) * steps for a, b in zip(vertices, ends, strict=True)])


def distance_to(points, x, y):
    return np.min(np.hypot(x[..., None] - points[:, 0], y[..., None] - points[:, 1]), axis=-1)


RECTANGLE = np.array([[-20.0, -3.0], [20.0, -3.0], [20.0, 3.0], [-20.0, 3.0]])
STAR = shapes.star_vertices(5, 24, 9)


@pytest.mark.parametrize(
    ('outline', 'area', 'function'),
    [
        (circle(17), np.pi * 17**2, lambda x, y: shapes.disk(x, y, 17)),
        (
            np.concatenate([circle(13), circle(19)]),
            np.pi * (19**2 - 13**2),
            lambda x, y: shapes.ring(x, y, 16, 6),
        ),
        (along_edges(RECTANGLE), 40 * 6, lambda x, y: shapes.box(x, y, 20, 3)),
        (along_edges(RECTANGLE), 40 * 6, lambda x, y: shapes.polygon(x, y, RECTANGLE)),
        (
            along_edges(STAR),
            5 * 24 * 9 * np.sin(np.pi / 5),
            lambda x, y: shapes.polygon(x, y, STAR),
        ),
    ],
    ids=['disk', 'ring', 'box', 'rectangle', 'star'],
)
def test_distance_to_the_outline_and_area(outline, area, function):
    x, y = grid()
    sdf = function(x, y)
    np.testing.assert_allclose(np.abs(sdf), distance_to(outline, x, y), atol=0.02)
    # Images are blended by coverage, whose sum is a far better area than a count of pixels.
    assert np.clip(0.5 - sdf, 0, 1).sum() == pytest.approx(area, rel=0.02)
    assert sdf[0, 0] > 0


def test_blob_follows_its_polar_outline():
    x, y = grid()
    amplitudes, phases = np.array([0.3, 0.2]), np.array([0.4, 2.0])
    sdf = shapes.blob(x, y, 18, amplitudes, phases)

    def outline(angle):
        return 18 * (1 + 0.3 * np.cos(2 * angle + 0.4) + 0.2 * np.cos(3 * angle + 2.0))

    np.testing.assert_array_equal(sdf < 0, np.hypot(x, y) < outline(np.arctan2(y, x)))
    angle = np.linspace(0, 2 * np.pi, 8000)
    points = outline(angle)[:, None] * np.stack([np.cos(angle), np.sin(angle)], axis=1)
    distance = distance_to(points, x, y)
    near = distance < 1
    np.testing.assert_allclose(np.abs(sdf[near]), distance[near], atol=0.15)


def test_level_set_measures_in_pixels():
    x, y = grid()
    distance = np.hypot(x, y) - 20
    sdf = shapes.level_set(7 * distance)
    np.testing.assert_array_equal(sdf < 0, distance < 0)
    near = np.abs(distance) < 2
    np.testing.assert_allclose(sdf[near], distance[near], atol=0.02)


def test_strokes_against_one_segment_after_another():
    starts = np.array([[5.0, 5.0], [8.0, 6.0], [30.0, 1.0], [-1.0, 20.0]])
    ends = np.array([[8.0, 6.0], [9.0, 9.0], [31.0, -3.0], [2.0, 20.0]])
    sdf = shapes.strokes((24, 40), starts, ends, np.full((4, 2), 0.7))
    expected = np.full((24, 40), np.inf)
    for row in range(24):
        for column in range(40):
            point = np.array([column + 0.5, row + 0.5])
            for start, end in zip(starts, ends, strict=True):
                t = np.clip((point - start) @ (end - start) / ((end - start) @ (end - start)), 0, 1)
                distance = np.linalg.norm(point - start - t * (end - start)) - 0.7
                expected[row, column] = min(expected[row, column], distance)
    near = expected < 2
    assert sdf.dtype == np.float32
    np.testing.assert_allclose(sdf[near], expected[near], atol=1e-5)
    assert (sdf[~near] == shapes.FAR).all()


def test_strokes_taper():
    sdf = shapes.strokes(
        (11, 30), np.array([[2.0, 5.5]]), np.array([[28.0, 5.5]]), np.array([[3.0, 0.5]])
    )
    assert (sdf[:, 3] < 0).sum() == 5
    assert (sdf[:, 26] < 0).sum() == 1


def test_no_strokes_leave_nothing():
    none = np.zeros((0, 2))
    assert (shapes.strokes((4, 5), none, none, none) == shapes.FAR).all()


@pytest.mark.parametrize('half_width', [0.1, 0.15, 0.3, 0.6, 1.5])
def test_hairs_against_finer_pixels(half_width):
    """However thin, a hair covers as much as 16 x 16 points in each pixel tell."""
    rng = np.random.default_rng(0)
    fine = (np.arange(24 * 16) + 0.5) / 16
    x, y = np.meshgrid(fine, fine)
    for _ in range(8):
        first, last = rng.uniform(4, 20, (2, 2))
        points = first + (last - first) * np.linspace(0, 1, 9)[:, None]
        coverage = shapes.hairs((24, 24), points[None], np.full((1, 9), half_width))
        t = ((np.stack([x, y], -1) - first) @ (last - first)) / ((last - first) @ (last - first))
        nearest = first + np.clip(t, 0, 1)[..., None] * (last - first)
        inside = np.hypot(x - nearest[..., 0], y - nearest[..., 1]) < half_width
        expected = inside.reshape(24, 16, 24, 16).mean((1, 3))
        # Where a hair ends, only part of a pixel's length is covered.
        middle = (t > 0.1) & (t < 0.9)
        middle = middle.reshape(24, 16, 24, 16).all((1, 3))
        error = (coverage - expected)[middle]
        assert np.abs(error).max() < 0.13
        assert np.abs(error[expected[middle] > 0]).mean() < 0.04


def test_hairs_cover_independently_of_each_other():
    size, across = (12, 12), np.linspace(-2, 14, 9)
    level = np.stack([across, np.full(9, 6.3)], axis=-1)
    upright = np.stack([np.full(9, 4.8), across], axis=-1)
    half_widths = np.stack([np.full(9, 0.2), np.linspace(0.1, 0.4, 9)])
    each = [
        shapes.hairs(size, hair[None], half_width[None])
        for hair, half_width in zip((level, upright), half_widths, strict=True)
    ]
    both = shapes.hairs(size, np.stack([level, upright]), half_widths)
    assert both.dtype == np.float32
    np.testing.assert_allclose(both, 1 - (1 - each[0]) * (1 - each[1]), atol=1e-6)
    # The segments of one hair, which overlap in every pixel, count once.
    np.testing.assert_allclose(each[0].sum(axis=0), 0.4, atol=1e-6)
    assert both[6, 4] > max(each[0][6, 4], each[1][6, 4])


def test_no_hairs_cover_nothing():
    assert not shapes.hairs((4, 5), np.zeros((0, 3, 2)), np.zeros((0, 3))).any()


def test_convex_hull():
    square = np.array([[0, 0], [4, 0], [4, 4], [0, 4]])
    inside = np.array([[2, 2], [1, 3], [2, 0], [4, 2], [0, 0]])
    corners = shapes.convex_hull(np.concatenate([inside, square])).tolist()
    assert sorted(corners) == sorted(square.tolist())
    start = corners.index([0, 0])
    assert corners[start:] + corners[:start] == square.tolist()
