import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, JpegImagePlugin

from sapa_mm.datasets import (
    CATEGORIES,
    CLASSES,
    PALETTE,
    THING_CLASSES,
    generate_matte,
    generate_room,
    generate_scene,
    id2rgb,
    rgb2id,
    write_mattes,
    write_rooms,
    write_scenes,
)
from sapa_mm.datasets.scenes.coco import encode_rle
from sapa_mm.datasets.scenes.folder import VALIDATION_START

SIZE = (64, 91)
INDICES = {
    'training': range(3),
    'validation': range(VALIDATION_START, VALIDATION_START + 2),
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
        'format_version': 1,
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


@pytest.fixture(scope='module')
def rooms(tmp_path_factory):
    root = tmp_path_factory.mktemp('rooms')
    write_rooms(root, num_train=3, num_val=2, size=SIZE, seed=7)
    return root


ROOMS = dict(zip(('train', 'test'), INDICES.values(), strict=True))


def test_layout_and_record_of_rooms(rooms):
    expected = {'rooms.json'}
    for subset, indices in ROOMS.items():
        expected |= {f'images/{subset}/room_{index:08d}.jpg' for index in indices}
        expected |= {f'annotations/{subset}/room_{index:08d}.png' for index in indices}
    assert set(contents(rooms)) == expected
    assert json.loads((rooms / 'rooms.json').read_text()) == {
        'format_version': 1,
        'num_train': 3,
        'num_val': 2,
        'size': list(SIZE),
        'seed': 7,
    }


@pytest.mark.parametrize('subset', ROOMS)
def test_rooms_read_by_nyu_dataset(rooms, subset):
    datasets = pytest.importorskip('mmseg.datasets')
    dataset = datasets.NYUDataset(
        data_root=str(rooms),
        data_prefix={'img_path': f'images/{subset}', 'depth_map_path': f'annotations/{subset}'},
        pipeline=[
            {'type': 'LoadImageFromFile'},
            {'type': 'mmseg.LoadDepthAnnotation', 'depth_rescale_factor': 1e-3},
        ],
    )
    assert len(dataset) == len(ROOMS[subset])
    for sample, index in zip(dataset, ROOMS[subset], strict=True):
        room = generate_room(index, seed=7, size=SIZE)
        with Image.open(sample['img_path']) as image:
            assert JpegImagePlugin.get_sampling(image) == 0
        assert np.abs(sample['img'][..., ::-1].astype(int) - room.image).mean() < 4
        assert sample['gt_depth_map'].dtype == np.float32
        np.testing.assert_array_equal(np.round(sample['gt_depth_map'] * 1000), room.depth)


@pytest.fixture(scope='module')
def mattes(tmp_path_factory):
    root = tmp_path_factory.mktemp('mattes')
    write_mattes(root, num_train=3, num_val=2, size=SIZE, seed=7)
    return root


MATTES = {
    'train': {'fg': 'foreground', 'alpha': 'alpha', 'bg': 'background'},
    'test': {'merged': 'image', 'alpha': 'alpha', 'trimaps': 'trimap'},
}


def test_files_and_record_of_mattes(mattes):
    """Every file holds exactly what was generated, and there are no others."""
    expected = {'mattes.json'}
    for (subset, folders), indices in zip(MATTES.items(), INDICES.values(), strict=True):
        for index in indices:
            matte = generate_matte(index, seed=7, size=SIZE)
            for folder, attribute in folders.items():
                name = f'{subset}/{folder}/matte_{index:08d}.png'
                np.testing.assert_array_equal(read(mattes / name), getattr(matte, attribute))
                expected.add(name)
    assert set(contents(mattes)) == expected
    assert json.loads((mattes / 'mattes.json').read_text()) == {
        'format_version': 1,
        'num_train': 3,
        'num_val': 2,
        'size': list(SIZE),
        'seed': 7,
    }
