import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, JpegImagePlugin

from sapa_mm.datasets import (
    CATEGORIES,
    CLASSES,
    PALETTE,
    THING_CLASSES,
    generate_scene,
    id2rgb,
    rgb2id,
    write_scenes,
)
from sapa_mm.datasets.scenes import writers
from sapa_mm.datasets.scenes.coco import encode_rle

SIZE = (64, 91)
INDICES = {
    'training': range(3),
    'validation': range(writers.VALIDATION_START, writers.VALIDATION_START + 2),
}


@pytest.fixture(scope='module')
def root(tmp_path_factory):
    root = tmp_path_factory.mktemp('scenes') / 'made' / 'here'
    write_scenes(root, num_train=3, num_val=2, size=SIZE, seed=7)
    return root


def contents(root):
    return {
        path.relative_to(root).as_posix(): path.read_bytes()
        for path in root.rglob('*')
        if path.is_file()
    }


def read(path):
    with Image.open(path) as image:
        return np.array(image)


def test_folder_layout(root):
    expected = {'scenes.json'}
    for subset, indices in INDICES.items():
        expected |= {f'annotations/{kind}_{subset}.json' for kind in ('instances', 'panoptic')}
        for index in indices:
            expected |= {
                f'images/{subset}/scene_{index:08d}.jpg',
                f'annotations/{subset}/scene_{index:08d}.png',
                f'panoptic/{subset}/scene_{index:08d}.png',
            }
    assert set(contents(root)) == expected


@pytest.mark.parametrize('subset', INDICES)
def test_images_and_semantic_maps(root, subset):
    for index in INDICES[subset]:
        scene = generate_scene(index, seed=7, size=SIZE)
        with Image.open(root / f'images/{subset}/scene_{index:08d}.jpg') as image:
            assert JpegImagePlugin.get_sampling(image) == 0
            difference = np.abs(np.array(image).astype(int) - scene.image)
        assert difference.mean() < 4
        with Image.open(root / f'annotations/{subset}/scene_{index:08d}.png') as image:
            assert image.mode == 'L'
            np.testing.assert_array_equal(np.array(image), scene.semantic)


@pytest.mark.parametrize('subset', INDICES)
def test_instances_read_by_pycocotools(root, subset):
    coco_module = pytest.importorskip('pycocotools.coco')
    mask_module = pytest.importorskip('pycocotools.mask')
    coco = coco_module.COCO(str(root / f'annotations/instances_{subset}.json'))
    assert [category['name'] for category in coco.loadCats(coco.getCatIds())] == list(THING_CLASSES)
    assert sorted(coco.getImgIds()) == list(INDICES[subset])
    assert min(coco.getAnnIds()) == 1
    assert len(coco.getAnnIds()) == len(coco.dataset['annotations'])
    for image in coco.loadImgs(coco.getImgIds()):
        assert read(root / f'images/{subset}' / image['file_name']).shape[:2] == SIZE
        assert (image['height'], image['width']) == SIZE
        scene = generate_scene(image['id'], seed=7, size=SIZE)
        annotations = coco.loadAnns(coco.getAnnIds(imgIds=image['id']))
        assert len(annotations) == len(scene.instances)
        for annotation, segment in zip(annotations, scene.instances, strict=True):
            np.testing.assert_array_equal(coco.annToMask(annotation), scene.mask(segment))
            assert annotation['category_id'] == segment.category_id
            assert annotation['iscrowd'] == 0
            rle = coco.annToRLE(annotation)
            assert annotation['area'] == mask_module.area(rle)
            assert annotation['bbox'] == mask_module.toBbox(rle).tolist()


@pytest.mark.parametrize('subset', INDICES)
def test_panoptic_pictures_and_json_agree(root, subset):
    content = json.loads((root / f'annotations/panoptic_{subset}.json').read_text())
    assert [
        (c['id'], c['name'], c['isthing'], tuple(c['color'])) for c in content['categories']
    ] == [(c.id, c.name, int(c.isthing), c.color) for c in CATEGORIES]
    assert [image['id'] for image in content['images']] == list(INDICES[subset])
    for image, annotation in zip(content['images'], content['annotations'], strict=True):
        assert annotation['image_id'] == image['id']
        assert Path(annotation['file_name']).stem == Path(image['file_name']).stem
        ids = rgb2id(read(root / 'panoptic' / subset / annotation['file_name']))
        segments = annotation['segments_info']
        assert sorted(segment['id'] for segment in segments) == np.unique(ids).tolist()
        semantic = np.zeros(SIZE, dtype=np.uint8)
        for segment in segments:
            mask = ids == segment['id']
            rows, columns = np.nonzero(mask)
            left, top, width, height = segment['bbox']
            assert segment['area'] == mask.sum()
            assert (left, top) == (columns.min(), rows.min())
            assert (width, height) == (np.ptp(columns) + 1, np.ptp(rows) + 1)
            assert segment['iscrowd'] == 0
            semantic[mask] = segment['category_id']
        np.testing.assert_array_equal(
            semantic, read(root / 'annotations' / subset / annotation['file_name'])
        )


def test_record(root):
    record = json.loads((root / 'scenes.json').read_text())
    assert record == {
        'format_version': writers.FORMAT_VERSION,
        'num_train': 3,
        'num_val': 2,
        'size': list(SIZE),
        'seed': 7,
        'classes': list(CLASSES),
        'thing_classes': list(THING_CLASSES),
        'palette': [list(color) for color in PALETTE],
    }


def test_panoptic_colours():
    ids = np.array([[0, 1, 255], [256, 65536, 2**24 - 1]])
    rgb = id2rgb(ids)
    assert rgb[1].tolist() == [[0, 1, 0], [0, 0, 1], [255, 255, 255]]
    np.testing.assert_array_equal(rgb2id(rgb), ids)


@pytest.mark.parametrize(
    ('mask', 'counts'),
    [
        ([[0, 1, 0], [0, 1, 1]], [2, 2, 1, 1]),
        ([[1, 1], [0, 1]], [0, 1, 1, 2]),
        ([[0, 0], [0, 0]], [4]),
        ([[1, 1], [1, 1]], [0, 4]),
    ],
)
def test_run_lengths_go_down_the_columns(mask, counts):
    mask = np.array(mask, dtype=bool)
    assert encode_rle(mask) == {'size': list(mask.shape), 'counts': counts}


def test_a_subset_begins_the_same_whatever_its_size(root, tmp_path):
    write_scenes(tmp_path, num_train=1, num_val=1, size=SIZE, seed=7)
    larger = contents(root)
    for name, content in contents(tmp_path).items():
        if not name.endswith('.json'):
            assert larger[name] == content


def test_a_complete_folder_is_left_alone(tmp_path, monkeypatch):
    first = write_scenes(tmp_path, num_train=1, num_val=1, size=(32, 40))
    monkeypatch.setattr(writers, 'generate_scene', None)
    assert write_scenes(tmp_path, num_train=1, num_val=1, size=(32, 40)) == first


@pytest.mark.parametrize(
    ('changed', 'message'),
    [
        ({'num_train': 2}, 'num_train=1, asked for 2'),
        ({'num_val': 3}, 'num_val=1, asked for 3'),
        ({'size': (40, 32)}, r'size=\[32, 40\], asked for \[40, 32\]'),
        ({'seed': 5}, 'seed=0, asked for 5'),
    ],
)
def test_other_arguments_are_refused_unless_overwriting(tmp_path, changed, message):
    arguments = {'num_train': 1, 'num_val': 1, 'size': (32, 40), 'seed': 0}
    write_scenes(tmp_path, **arguments)
    before = contents(tmp_path)
    with pytest.raises(ValueError, match=message):
        write_scenes(tmp_path, **{**arguments, **changed})
    assert contents(tmp_path) == before
    write_scenes(tmp_path, **{**arguments, **changed}, overwrite=True)
    write_scenes(tmp_path / 'new', **{**arguments, **changed})
    new = contents(tmp_path / 'new')
    after = contents(tmp_path)
    assert {name: after[name] for name in after if not name.startswith('new/')} == new


def test_an_interrupted_generation_is_made_anew(root, tmp_path, monkeypatch):
    arguments = {'num_train': 3, 'num_val': 2, 'size': SIZE, 'seed': 7}

    def interrupted(index, seed, size):
        if index == writers.VALIDATION_START + 1:
            raise KeyboardInterrupt
        return generate_scene(index, seed, size)

    with monkeypatch.context() as patch:
        patch.setattr(writers, 'generate_scene', interrupted)
        with pytest.raises(KeyboardInterrupt):
            write_scenes(tmp_path, **{**arguments, 'num_train': 4})
    assert not (tmp_path / 'scenes.json').exists()
    # What a process killed while writing can leave behind.
    (tmp_path / 'annotations/.instances_validation.1-2.partial.json').write_text('{"ima')
    (tmp_path / 'images/training/scene_00000001.jpg').write_bytes(b'\xff\xd8')
    write_scenes(tmp_path, **arguments)
    assert contents(tmp_path) == contents(root)


def test_an_interrupted_overwrite_does_not_pass_for_the_old_scenes(tmp_path, monkeypatch):
    arguments = {'num_train': 2, 'num_val': 1, 'size': (32, 40)}
    write_scenes(tmp_path, **arguments, seed=0)
    before = contents(tmp_path)

    def interrupted(index, seed, size):
        if index == writers.VALIDATION_START:
            raise KeyboardInterrupt
        return generate_scene(index, seed, size)

    with monkeypatch.context() as patch:
        patch.setattr(writers, 'generate_scene', interrupted)
        with pytest.raises(KeyboardInterrupt):
            write_scenes(tmp_path, **arguments, seed=1, overwrite=True)
    assert not (tmp_path / 'scenes.json').exists()
    write_scenes(tmp_path, **arguments, seed=0)
    assert contents(tmp_path) == before


@pytest.mark.parametrize(
    'lost',
    [
        'images/training/scene_00000000.jpg',
        'panoptic/validation/scene_50000000.png',
        'annotations/panoptic_training.json',
    ],
)
def test_a_folder_with_a_file_lost_is_made_anew(tmp_path, lost):
    write_scenes(tmp_path, num_train=1, num_val=1, size=(32, 40))
    before = contents(tmp_path)
    (tmp_path / lost).unlink()
    write_scenes(tmp_path, num_train=1, num_val=1, size=(32, 40))
    assert contents(tmp_path) == before


@pytest.mark.parametrize('overwrite', [False, True])
def test_other_datasets_are_never_touched(tmp_path, overwrite):
    foreign = tmp_path / 'images' / 'training' / 'ADE_train_00000001.jpg'
    foreign.parent.mkdir(parents=True)
    foreign.write_bytes(b'precious')
    with pytest.raises(ValueError, match=r'root must be .* which holds .*ADE_train_00000001\.jpg'):
        write_scenes(tmp_path, num_train=1, num_val=1, size=(32, 40), overwrite=overwrite)
    assert set(contents(tmp_path)) == {'images/training/ADE_train_00000001.jpg'}


@pytest.mark.parametrize(
    ('arguments', 'message'),
    [
        ({'num_train': 0}, 'num_train must be an integer of at least 1, got 0'),
        ({'num_train': 50_000_001}, 'num_train must be at most 50000000, got 50000001'),
        ({'num_val': -1}, 'num_val must be an integer of at least 1, got -1'),
        ({'num_val': True}, 'num_val must be an integer of at least 1, got True'),
        ({'size': (160, 16)}, r'size must be .* at least 32, got \(160, 16\)'),
        ({'seed': -1}, 'seed must be an integer of at least 0, got -1'),
    ],
)
def test_bad_arguments(tmp_path, arguments, message):
    with pytest.raises(ValueError, match=message):
        write_scenes(tmp_path, **arguments)
    assert not contents(tmp_path)


def test_root_must_be_a_folder(tmp_path):
    (tmp_path / 'file').write_text('')
    for root in (tmp_path / 'file', tmp_path / 'file' / 'scenes'):
        with pytest.raises(OSError, match='^root: .*file is not a folder, .* cannot be written'):
            write_scenes(root)


def test_command(tmp_path):
    repository = Path(__file__).parents[3]
    command = [sys.executable, repository / 'tools/make_scenes.py', tmp_path / 'out']
    options = ['--train', '2', '--val', '1', '--size', '32', '40', '--seed', '3']
    subprocess.run([*command, *options], check=True)
    write_scenes(tmp_path / 'expected', num_train=2, num_val=1, size=(32, 40), seed=3)
    assert contents(tmp_path / 'out') == contents(tmp_path / 'expected')
