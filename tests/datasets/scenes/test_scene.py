import subprocess
import sys

import numpy as np
import pytest

from sapa_mm.datasets import (
    CATEGORIES,
    CLASSES,
    PALETTE,
    STUFF_CLASSES,
    THING_CLASSES,
    Category,
    generate_room,
    generate_scene,
)
from sapa_mm.datasets.scenes.layout import Layer, sample_layers
from sapa_mm.datasets.scenes.scene import MIN_VISIBLE, paint
from sapa_mm.datasets.scenes.shapes import disk

SIZES = [(160, 160), (121, 93), (32, 32), (33, 200)]


@pytest.fixture(scope='module')
def scenes():
    return [generate_scene(index, seed=0) for index in range(24)]


def test_category_table():
    assert [category.id for category in CATEGORIES] == list(range(1, len(CATEGORIES) + 1))
    assert THING_CLASSES + STUFF_CLASSES == CLASSES
    assert len(set(CLASSES)) == len(set(PALETTE)) == len(CATEGORIES)


def test_a_scene_depends_on_its_own_index_and_seed_only():
    first = generate_scene(5, seed=3)
    generate_scene(6, seed=3)
    again = generate_scene(5, seed=3)
    np.testing.assert_array_equal(first.image, again.image)
    np.testing.assert_array_equal(first.panoptic, again.panoptic)
    assert first.segments == again.segments
    for other in (generate_scene(6, seed=3), generate_scene(5, seed=4)):
        assert (other.image != first.image).mean() > 0.5
        assert (other.panoptic != first.panoptic).any()


@pytest.mark.parametrize('size', SIZES)
def test_views_agree(size):
    for index in range(6):
        scene = generate_scene(index, seed=1, size=size)
        assert scene.image.shape == (*size, 3)
        assert scene.image.dtype == np.uint8
        assert scene.panoptic.shape == scene.semantic.shape == size
        assert scene.panoptic.dtype == np.int32
        assert scene.semantic.dtype == np.uint8
        assert [segment.id for segment in scene.segments] == np.unique(scene.panoptic).tolist()
        semantic = np.zeros(size, dtype=np.uint8)
        for segment in scene.segments:
            category = CATEGORIES[segment.category_id - 1]
            assert segment.isthing == category.isthing
            mask = scene.mask(segment)
            rows, columns = np.nonzero(mask)
            assert segment.area == len(rows)
            left, top, width, height = segment.bbox
            assert (left, left + width - 1) == (columns.min(), columns.max())
            assert (top, top + height - 1) == (rows.min(), rows.max())
            semantic[mask] = segment.category_id
        np.testing.assert_array_equal(scene.semantic, semantic)
        assert scene.semantic.min() >= 1
        assert scene.instances
        assert all(segment.area >= MIN_VISIBLE for segment in scene.instances)
        stuff = [segment.category_id for segment in scene.segments if not segment.isthing]
        assert len(stuff) == len(set(stuff))


def test_labels_say_whose_distance_is_negative_on_top():
    left_out = 0
    size = (64, 64)
    for index in range(40):
        layers = sample_layers(np.random.default_rng([2, index]), size)
        scene = generate_scene(index, seed=2, size=size)
        top = np.full(size, -1)
        for row in range(size[0]):
            for number, layer in enumerate(layers):
                rows, columns = layer.window
                if rows.start <= row < rows.stop:
                    inside = layer.sdf[row - rows.start] < 0
                    top[row, columns][inside] = number
        hidden = [
            layer.category.isthing and (top == number).sum() < MIN_VISIBLE
            for number, layer in enumerate(layers)
        ]
        left_out += sum(hidden)
        category = np.array([layer.category.id for layer in layers])
        seen = ~np.array(hidden)[top]
        np.testing.assert_array_equal(scene.semantic[seen], category[top][seen])
        kept = [layer for layer, gone in zip(layers, hidden, strict=True) if not gone]
        assert len(scene.instances) == sum(layer.category.isthing for layer in kept)
    assert left_out > 0, 'no thing was hidden in these scenes, so that case went untested'


def test_every_class_occurs(scenes):
    counts = np.bincount(np.concatenate([scene.semantic.ravel() for scene in scenes]))
    assert counts[0] == 0
    share = counts[1:] / counts.sum()
    assert len(share) == len(CLASSES)
    assert share.min() > 0.003
    assert share.max() < 0.4


def test_things_come_in_several_sizes_and_overlap(scenes):
    areas = [segment.area for scene in scenes for segment in scene.instances]
    assert np.percentile(areas, 90) > 10 * np.percentile(areas, 10)
    touching = 0
    for scene in scenes:
        things = np.isin(scene.panoptic, [segment.id for segment in scene.instances])
        differ = scene.panoptic[:, 1:] != scene.panoptic[:, :-1]
        touching += (differ & things[:, 1:] & things[:, :-1]).any()
    assert touching > len(scenes) / 2


def width_at_most_two(mask):
    """Share of the mask outside all of its 3x3 squares."""
    padded = np.pad(mask, 2)
    height, width = mask.shape
    shifts = [(dy, dx) for dy in (-1, 0, 1) for dx in (-1, 0, 1)]

    def shifted(array, dy, dx, pad):
        return array[
            pad + dy : array.shape[0] - pad + dy or None,
            pad + dx : array.shape[1] - pad + dx or None,
        ]

    core = np.all([shifted(padded, dy, dx, 1) for dy, dx in shifts], axis=0)
    opened = np.any([shifted(core, dy, dx, 1) for dy, dx in shifts], axis=0)
    assert opened.shape == (height, width)
    return 1 - (opened & mask).sum() / mask.sum()


def test_thin_structures(scenes):
    thin = {name: [] for name in THING_CLASSES}
    for scene in scenes:
        for segment in scene.instances:
            name = CLASSES[segment.category_id - 1]
            thin[name].append(width_at_most_two(scene.mask(segment)))
    assert np.median(thin['strand']) > 0.6
    assert max(thin['ring']) > 0.9
    assert np.median(thin['star']) > 0.02
    assert np.median(thin['disk']) < 0.02


def flat(value):
    def texture(rng, x, y, radius):
        return np.full((*x.shape, 3), value, dtype=np.float32)

    return texture


def test_images_are_antialiased_where_labels_are_not():
    y, x = np.mgrid[0:40, 0:40].astype(np.float32) + 0.5
    everywhere = (slice(0, 40), slice(0, 40))
    ground = Category(7, 'ground', False, (0, 0, 0), flat(0.2))
    thing = Category(1, 'thing', True, (0, 0, 0), flat(1.0))
    window = (slice(5, 35), slice(5, 35))
    sdf = disk(x - 20.3, y - 19.6, 11.4)
    layers = [
        Layer(ground, everywhere, np.full((40, 40), -1e3, dtype=np.float32), x, y, 40.0),
        Layer(thing, window, sdf[window], x[window], y[window], 11.4),
    ]
    canvas = paint(np.random.default_rng(0), layers, (40, 40))
    coverage = (canvas[..., 0] - 0.2) / 0.8
    np.testing.assert_allclose(coverage, np.clip(0.5 - sdf, 0, 1), atol=1e-5)
    assert ((coverage > 0.05) & (coverage < 0.95)).sum() > 40
    assert coverage.sum() == pytest.approx(np.pi * 11.4**2, rel=2e-3)


def test_scenes_are_read_only():
    scene = generate_scene(0, size=(32, 32))
    for array in (scene.image, scene.panoptic, scene.semantic):
        with pytest.raises(ValueError, match='read-only'):
            array[0, 0] = 0


@pytest.mark.parametrize(
    ('arguments', 'message'),
    [
        ({'index': -1}, r'index must be an integer of at least 0, got -1'),
        ({'index': 1.5}, r'index must be an integer of at least 0, got 1\.5'),
        ({'index': 0, 'seed': -3}, r'seed must be an integer of at least 0, got -3'),
        ({'index': 0, 'size': (31, 64)}, r'size must be .* at least 32, got \(31, 64\)'),
        ({'index': 0, 'size': 64}, r'size must be \(height, width\).*, got 64'),
        ({'index': 0, 'size': (64, 64, 3)}, r'size must be \(height, width\).*, got \(64, 64, 3\)'),
        ({'index': 0, 'size': (64, 64.0)}, r'size must be .* two integers.*, got \(64, 64\.0\)'),
    ],
)
@pytest.mark.parametrize('generate', [generate_scene, generate_room])
def test_bad_arguments(generate, arguments, message):
    with pytest.raises(ValueError, match=message):
        generate(**arguments)


def test_needs_numpy_only():
    absent = ['torch', 'PIL', 'cv2', 'mmengine', 'mmcv', 'mmseg', 'mmdet', 'pycocotools']
    code = (
        f'import sys; sys.modules.update(dict.fromkeys({absent!r}))\n'
        'from sapa_mm.datasets import generate_room, generate_scene\n'
        'for generate in (generate_scene, generate_room):\n'
        '    print(generate(0, size=(32, 32)).image.shape)'
    )
    done = subprocess.run([sys.executable, '-c', code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert done.stdout.split('\n') == ['(32, 32, 3)'] * 2 + ['']
