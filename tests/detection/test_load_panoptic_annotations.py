"""Panoptic annotations through mmdet's own dataset."""

import json
import sys
import types

import numpy as np
import pytest

pytest.importorskip('mmdet')

from mmdet.registry import DATASETS
from mmdet.utils import register_all_modules
from PIL import Image

import sapa_mm.detection  # noqa: F401
from sapa_mm.datasets import CLASSES, STUFF_CLASSES, THING_CLASSES, generate_scene, rgb2id
from sapa_mm.datasets.scenes.writers import write_scenes

SIZE = (48, 64)


@pytest.fixture
def root(tmp_path):
    register_all_modules(init_default_scope=True)
    write_scenes(tmp_path, num_train=2, num_val=1, size=SIZE)
    return tmp_path


def change(root, edit):
    path = root / 'annotations' / 'panoptic_training.json'
    content = json.loads(path.read_text())
    edit(content['annotations'][0])
    path.write_text(json.dumps(content))


def load(root, transform='LoadCocoPanopticAnnotations', index=0, packed=False, **options):
    pipeline = [dict(type='LoadImageFromFile'), dict(type=transform, **options)]
    if packed:
        pipeline.append(dict(type='PackDetInputs'))
    dataset = DATASETS.build(
        dict(
            type='CocoPanopticDataset',
            data_root=str(root),
            metainfo=dict(
                classes=CLASSES, thing_classes=THING_CLASSES, stuff_classes=STUFF_CLASSES
            ),
            ann_file='annotations/panoptic_training.json',
            data_prefix=dict(img='images/training/', seg='panoptic/training/'),
            pipeline=pipeline,
        )
    )
    return dataset[index]


@pytest.mark.parametrize('index', [0, 1])
def test_masks_and_labels_are_those_of_the_scene(root, index):
    scene = generate_scene(index, 0, SIZE)
    results = load(root, index=index)
    assert np.array_equal(results['gt_seg_map'], scene.semantic - 1)
    assert results['gt_seg_map'].dtype == np.uint8
    masks = results['gt_masks'].masks
    assert len(masks) == len(scene.instances) == len(results['gt_bboxes'])
    for mask, label, segment in zip(
        masks, results['gt_bboxes_labels'], scene.instances, strict=True
    ):
        assert np.array_equal(mask, scene.mask(segment))
        assert label == segment.category_id - 1


def test_void_and_crowd(root):
    """Neither has an instance; VOID has no label, crowd has that of its class."""
    scene = generate_scene(0, 0, SIZE)
    crowd, void = scene.instances[0], scene.instances[1]

    def edit(entry):
        entry['segments_info'] = [s for s in entry['segments_info'] if s['id'] != void.id]
        for segment in entry['segments_info']:
            segment['iscrowd'] = int(segment['id'] == crowd.id)

    change(root, edit)
    path = root / 'panoptic' / 'training' / 'scene_00000000.png'
    png = np.array(Image.open(path))
    png[scene.mask(void)] = 0
    Image.fromarray(png).save(path)
    results = load(root)
    assert len(results['gt_masks'].masks) == len(results['gt_bboxes']) == len(scene.instances) - 2
    assert (results['gt_seg_map'][scene.mask(void)] == 255).all()
    assert (results['gt_seg_map'][scene.mask(crowd)] == crowd.category_id - 1).all()


def test_same_as_the_stock_transform(root, monkeypatch):
    utils = types.SimpleNamespace(rgb2id=rgb2id)
    monkeypatch.setitem(sys.modules, 'panopticapi', types.SimpleNamespace(utils=utils))
    stock, own = load(root, 'LoadPanopticAnnotations'), load(root)
    assert stock.keys() == own.keys()
    assert np.array_equal(stock['gt_seg_map'], own['gt_seg_map'])
    assert np.array_equal(stock['gt_masks'].masks, own['gt_masks'].masks)
    assert np.array_equal(stock['gt_bboxes'].tensor, own['gt_bboxes'].tensor)
    assert np.array_equal(stock['gt_bboxes_labels'], own['gt_bboxes_labels'])


def test_parts_can_be_left_out(root):
    assert 'gt_masks' not in load(root, with_mask=False)
    assert 'gt_seg_map' not in load(root, with_seg=False)


def test_packs(root):
    sample = load(root, packed=True)['data_samples']
    assert sample.gt_sem_seg.sem_seg.shape == (1, *SIZE)
    assert len(sample.gt_instances.masks) == len(sample.gt_instances.bboxes)


def test_ids_that_the_annotation_lacks(root):
    change(root, lambda entry: entry['segments_info'].pop())
    with pytest.raises(ValueError, match=r'scene_00000000\.png does not fit.* not among its seg'):
        load(root)


def test_ids_that_the_map_lacks(root):
    def edit(entry):
        entry['segments_info'].append({**entry['segments_info'][0], 'id': 4711})

    change(root, edit)
    with pytest.raises(ValueError, match=r'scene_00000000\.png does not fit.* 4711, among its seg'):
        load(root)


def test_map_of_another_size(root):
    path = root / 'panoptic' / 'training' / 'scene_00000000.png'
    Image.fromarray(np.array(Image.open(path))[:-1]).save(path)
    with pytest.raises(
        ValueError, match=r'has \(H, W\) = \(47, 64\), its annotation has \(48, 64\)'
    ):
        load(root)


def test_missing_and_broken_maps(root):
    path = root / 'panoptic' / 'training' / 'scene_00000000.png'
    path.write_bytes(path.read_bytes()[:50])
    with pytest.raises(ValueError, match=r'scene_00000000\.png cannot be read as an image'):
        load(root)
    path.unlink()
    with pytest.raises(FileNotFoundError, match=r'no panoptic map .*scene_00000000\.png'):
        load(root)
