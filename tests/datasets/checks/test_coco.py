"""COCO files as the world writes them: what breaks or falsifies a run is an error before it."""

import copy
import gzip
import json
import os
import re
import shutil
from pathlib import Path

import pytest

pytest.importorskip('mmdet')

from mmdet.datasets import CocoDataset
from mmengine.config import Config

from sapa_mm.datasets import write_scenes
from sapa_mm.datasets.checks import check_data, check_dataset, inspect_data
from sapa_mm.engine.config import in_scope
from sapa_mm.engine.data_root import move_data

from ...support.configs import load

BOXES = 'faster_rcnn/faster-rcnn_r18-small_fpn-nearest_1xb8-300_scenes-160x160.py'
MASKS = 'mask_rcnn/mask-rcnn_r18-small_fpn-nearest_1xb8-300_scenes-160x160.py'
SEGMENTS = 'panoptic_fpn/panoptic-fpn_r18-small_nearest_1xb8-300_scenes-160x160.py'
SIZE = (48, 64)


@pytest.fixture(scope='session')
def scenes(tmp_path_factory):
    root = tmp_path_factory.mktemp('scenes')
    write_scenes(root, num_train=4, num_val=2, size=SIZE)
    return root


@pytest.fixture
def root(scenes, tmp_path):
    shutil.copytree(scenes, tmp_path / 'data')
    return tmp_path / 'data'


def path_of(root, kind, split='training'):
    return root / 'annotations' / f'{kind}_{split}.json'


def rewrite(root, kind, change, splits=('training', 'validation')):
    """Change annotation files."""
    for split in splits:
        path = path_of(root, kind, split)
        content = json.loads(path.read_text())
        change(content)
        path.write_text(json.dumps(content))


def each(**changes):
    """Changes all annotations; a value may be a function of the annotation."""

    def change(content):
        for entry in content['annotations']:
            for key, value in changes.items():
                entry[key] = value(entry) if callable(value) else value

    return change


def without(*keys):
    def change(content):
        for entry in content['annotations']:
            for key in keys:
                del entry[key]

    return change


def config(root, name, **options):
    options = {key.replace('__', '.'): value for key, value in options.items()}
    cfg = load(Path(name).stem)
    cfg.merge_from_dict(move_data(cfg, str(root)))
    cfg.merge_from_dict(options)
    return cfg


def lines(root, name, **options):
    """What the tool reports, without opening images, and without the folder."""
    cfg = config(root, name, **options)
    with in_scope(cfg):
        found = [(line.kind, line.text) for line in inspect_data(cfg, 0)]
        errors = [text for kind, text in found if kind == 'error']
        # A run refuses what the tool calls an error.
        if errors:
            with pytest.raises(ValueError, match=f'^{re.escape(errors[0])}$'):
                check_data(cfg, ('train', 'val'))
        else:
            check_data(cfg, ('train', 'val'))
    return [(kind, text.replace(f'{root}/', '')) for kind, text in found if kind != 'right']


def only(found, kind, *texts):
    """The one line of a kind has these texts."""
    chosen = [text for one, text in found if one == kind]
    assert len(chosen) == 1, found
    for text in texts:
        assert text in chosen[0]


@pytest.mark.parametrize('name', [BOXES, MASKS, SEGMENTS])
def test_right_files(root, name):
    assert lines(root, name) == []


# What pycocotools or mmdet cannot read.


@pytest.mark.parametrize(
    ('change', 'text'),
    [
        (without('iscrowd'), 'annotation 1 has no iscrowd, which pycocotools needs; add "iscrowd"'),
        (each(iscrowd=None), 'annotation 1 has no iscrowd'),
        (each(id=lambda entry: entry['id'] - 1), 'annotation 0 has an id that pycocotools takes'),
        (each(id=lambda entry: f'a{entry["id"]}'), "annotation 'a1' has an id that pycocotools"),
    ],
)
def test_what_only_the_evaluation_needs(root, change, text):
    """A training file may be so."""
    rewrite(root, 'instances', change, ['training'])
    assert lines(root, MASKS) == []
    rewrite(root, 'instances', change, ['validation'])
    only(lines(root, MASKS), 'error', 'val_evaluator.ann_file: annotations/instances_val', text)


@pytest.mark.parametrize(
    ('change', 'text'),
    [
        (each(iscrowd='0'), "annotation 1 has the iscrowd '0', must be 0 or 1"),
        (without('area'), 'annotation 1 has the area null'),
        (each(area=float('nan')), 'annotation 1 has the area nan'),
        (without('bbox'), 'annotation 1 has the box null, must be four numbers'),
        (without('id'), 'annotations[0] has the id null'),
        (each(id=7), 'annotation 7 has the id of another annotation'),
        (each(image_id=lambda entry: str(entry['image_id'])), "of image '0', which is missing"),
        (without('category_id'), 'annotation 1 has category null, which is missing'),
    ],
)
def test_what_a_dataset_needs(root, change, text):
    rewrite(root, 'instances', change, ['training'])
    found = lines(root, BOXES)
    assert {kind for kind, _ in found} == {'error'}
    assert text in found[0][1]


@pytest.mark.parametrize('number', [str, float, lambda one: one + 2**40])
def test_ids_of_other_kinds(root, number):
    """Texts, floats and ids beyond 32 bits are right if they are so throughout."""

    def change(content):
        for image in content['images']:
            image['id'] = number(image['id'])
        each(image_id=lambda entry: number(entry['image_id']))(content)

    for kind in ('instances', 'panoptic'):
        rewrite(root, kind, change)
    assert lines(root, MASKS) == []
    assert lines(root, SEGMENTS) == []


def test_texts_and_numbers_as_ids_of_images(root):
    """numpy makes texts of them all, and pycocotools finds no image then."""
    rewrite(root, 'instances', lambda content: content['images'][0].update(id='a'), ['validation'])
    assert 'others are of another type' in lines(root, BOXES)[0][1]


@pytest.mark.parametrize(
    ('text', 'message'),
    [
        (lambda text: b'\xef\xbb\xbf' + text, 'begins with a byte-order mark; save it as UTF-8'),
        (lambda text: text.decode().encode('utf-16'), 'is not a complete JSON file in UTF-8'),
        (gzip.compress, 'is not a JSON file but compressed (gzip); unpack it'),
        (lambda text: b'', 'is not a complete JSON file (it is empty)'),
        (lambda text: text[:300], 'is not a complete JSON file ('),
        (lambda text: b'version https://git-lfs.github.com/spec/v1\n', 'a pointer of Git LFS'),
        (lambda text: b'[]', 'is not a COCO file: it holds []'),
    ],
)
def test_files_of_other_kinds(root, text, message):
    path = path_of(root, 'instances')
    path.write_bytes(text(path.read_bytes()))
    only(lines(root, MASKS), 'error', 'train_dataloader.dataset.ann_file: ', message)


def test_links(root):
    path = path_of(root, 'instances')
    path.rename(root / 'elsewhere.json')
    path.symlink_to(root / 'elsewhere.json')
    assert lines(root, BOXES) == []
    (root / 'elsewhere.json').unlink()
    only(lines(root, BOXES), 'error', 'train_dataloader.dataset.ann_file: no file')


def test_several_files(root):
    names = ['annotations/a.json', 'annotations/b.json']
    found = lines(root, BOXES, train_dataloader__dataset__ann_file=names)
    only(found, 'error', 'train_dataloader.dataset.ann_file takes one file', 'use ConcatDataset')


def test_files_for_another_dataset(root):
    names = {kind: f'annotations/{kind}_training.json' for kind in ('instances', 'panoptic')}
    found = lines(root, BOXES, train_dataloader__dataset__ann_file=names['panoptic'])
    assert 'has panoptic segments, CocoDataset needs instances' in found[0][1]
    found = lines(root, SEGMENTS, train_dataloader__dataset__ann_file=names['instances'])
    assert 'has instances, CocoPanopticDataset needs panoptic segments' in found[0][1]
    path = str(path_of(root, 'panoptic', 'validation'))
    only(lines(root, BOXES, val_evaluator__ann_file=path), 'error', 'must have instances')


# Masks.


BAD_MASKS = {
    'none': (None, 'has no segmentation'),
    'empty': ([], 'has no segmentation'),
    'an empty polygon': ([[]], 'has the segmentation [[]], must be a mask, or polygons of'),
    'two points': ([[1, 2, 3, 4]], 'has the segmentation [[1, 2, 3, 4]]'),
    'odd': ([[1, 2, 3, 4, 5, 6, 7]], 'has the segmentation [[1, 2, 3, 4, 5, 6, ...]]'),
    'flat': ([1, 2, 3, 4, 5, 6], 'has the segmentation [1, 2, 3, 4, 5, 6]'),
    'pairs': ([[[1, 2], [3, 4], [5, 6]]], 'has the segmentation [[[1, 2], [3, 4], [5, 6]]]'),
    'texts': ([list('123456')], 'has the segmentation [['),
    'NaN': ([[1, 2, 3, 4, 5, float('nan')]], 'has the segmentation [[1, 2, 3, 4, 5, nan]]'),
    'a text': ('1 2 3 4', "has the segmentation '1 2 3 4'"),
    'another size': (dict(size=[64, 48], counts=[3072]), 'with the size [64, 48], its image is'),
    'no size': (dict(counts=[3072]), 'with the size null, its image is [48, 64]'),
    'too short': (dict(size=[48, 64], counts=[7, 8]), 'add up to 15, height * width is 3072'),
    'too long': (dict(size=[48, 64], counts=[3000, 73]), 'add up to 3073, height * width is 3072'),
    'negative': (dict(size=[48, 64], counts=[3073, -1]), 'counts are neither numbers nor'),
    'texts in counts': (dict(size=[48, 64], counts=['3072']), 'counts are neither numbers nor'),
    'no code': (dict(size=[48, 64], counts='mask'), 'counts are neither numbers nor their code'),
    'a code cut off': (dict(size=[48, 64], counts='PP'), 'counts are neither numbers nor'),
    'a short code': (dict(size=[48, 64], counts='06'), 'add up to 6, height * width is 3072'),
}


@pytest.mark.parametrize(('mask', 'text'), BAD_MASKS.values(), ids=BAD_MASKS)
def test_bad_masks(root, mask, text):
    rewrite(root, 'instances', lambda content: content['annotations'][0].update(segmentation=mask))
    places = ('train_dataloader.dataset', 'val_evaluator')
    found = lines(root, MASKS)
    assert len(found) == len(places), found
    for place, (kind, message) in zip(places, found, strict=True):
        assert kind == 'error'
        assert message.startswith(f'{place}.ann_file: annotations/instances_')
        assert text in message
    # Boxes are trained and measured without masks.
    assert lines(root, BOXES) == []


def test_a_short_polygon_beside_others(root):
    """mmdet leaves it out; of the first one, pycocotools learns how to read all."""

    def change(content):
        entry = content['annotations'][0]
        x, y, width, height = entry['bbox']
        corners = [x, y, x + width, y, x + width, y + height, x, y + height]
        entry['segmentation'] = [[0, 0, 0, 0], corners]

    rewrite(root, 'instances', change, ['training'])
    assert lines(root, MASKS) == []
    rewrite(root, 'instances', change, ['validation'])
    only(lines(root, MASKS), 'error', 'val_evaluator', 'a polygon of fewer than three points first')

    def turn(content):
        content['annotations'][0]['segmentation'].reverse()

    rewrite(root, 'instances', turn)
    assert lines(root, MASKS) == []


def test_compressed_masks(root):
    from pycocotools import mask as coco_mask

    def code(entry):
        mask = entry['segmentation']
        return {**mask, 'counts': coco_mask.frPyObjects(mask, *mask['size'])['counts'].decode()}

    rewrite(root, 'instances', each(segmentation=code))
    assert lines(root, MASKS) == []
    # Their bounds are known, too.
    swapped = each(bbox=lambda entry: [entry['bbox'][index] for index in (1, 0, 3, 2)])
    rewrite(root, 'instances', swapped, ['training'])
    only(
        lines(root, MASKS),
        'error',
        'they would as [y, x, height, width], must be [x, y, width, height]',
    )


# Boxes.


def yolo(entry):
    x, y, width, height = entry['bbox']
    return [x / 64, y / 48, width / 64, height / 48]


ORDERS = {
    '[y, x, height, width]': lambda entry: [entry['bbox'][index] for index in (1, 0, 3, 2)],
    '[x1, y1, x2, y2]': lambda entry: (
        entry['bbox'][:2]
        + [a + b for a, b in zip(entry['bbox'][:2], entry['bbox'][2:], strict=True)]
    ),
    '[center x, center y, width, height]': lambda entry: (
        [a + b / 2 for a, b in zip(entry['bbox'][:2], entry['bbox'][2:], strict=True)]
        + entry['bbox'][2:]
    ),
}


@pytest.mark.parametrize('order', ORDERS)
def test_boxes_in_another_order(root, order):
    rewrite(root, 'instances', each(bbox=ORDERS[order]), ['training'])
    found = lines(root, BOXES)
    assert any('do not fit their masks' in text and f'they would as {order}' in text
               for kind, text in found if kind == 'error'), found  # fmt: skip


def test_boxes_in_another_order_without_masks(root):
    rewrite(root, 'instances', without('segmentation'))
    assert lines(root, BOXES) == []
    rewrite(root, 'instances', each(bbox=ORDERS['[x1, y1, x2, y2]']), ['training'])
    found = [text for kind, text in lines(root, BOXES) if kind == 'error']
    assert 'boxes reach out of their images' in found[0]
    assert 'they would as [x1, y1, x2, y2], must be [x, y, width, height]' in found[0]


def test_boxes_in_parts_of_the_image(root):
    rewrite(root, 'instances', each(bbox=yolo), ['training'])
    assert 'boxes are in 0..1, must be in pixels' in lines(root, BOXES)[0][1]


def test_all_areas_are_0(root):
    rewrite(root, 'instances', each(area=0), ['training'])
    count = len(json.loads(path_of(root, 'instances').read_text())['annotations'])
    only(
        lines(root, BOXES), 'error', f'mmdet skips {count} of {count} annotations, which have area'
    )


def test_all_are_crowds(root):
    rewrite(root, 'instances', each(iscrowd=1), ['training'])
    only(
        lines(root, BOXES), 'error', 'annotations are crowds (iscrowd), of which nothing is learnt'
    )


def test_what_mmdet_skips(root):
    """Single ones occur in good data: a note counts them, and mmdet skips as many."""

    def change(content):
        one, two, three, four, *_ = content['annotations']
        one['bbox'][2] = 0.5
        two['area'] = 0
        three['ignore'] = 1
        four['bbox'] = [-30, 5, 20, 20]
        for entry in content['annotations']:
            del entry['segmentation']

    rewrite(root, 'instances', change, ['training'])
    found = lines(root, BOXES)
    assert {kind for kind, _ in found} == {'note'}
    skipped = [text for _, text in found if 'mmdet skips' in text]
    content = json.loads(path_of(root, 'instances').read_text())
    total = len(content['annotations'])
    assert all(f'mmdet skips 1 of {total} annotations, which' in text for text in skipped)
    names = {one['id']: one['name'] for one in content['categories']}
    reasons = (
        'are marked with ignore',
        'have area 0',
        'below one pixel',
        'lie outside their image',
    )
    for text, reason, row in zip(skipped, reasons, (2, 1, 0, 3), strict=True):
        assert reason in text
        assert text.endswith(f'{names[content["annotations"][row]["category_id"]]} (1)')
    dataset = dict(config(root, BOXES).train_dataloader.dataset, pipeline=[], filter_cfg=None)
    dataset.pop('type')
    infos = list(CocoDataset(**dataset))
    assert sum(len(info['instances']) for info in infos) == total - 4


# Images.


def test_names_as_mmdet_finds_them(root):
    images = root / 'images' / 'training'
    one, two, three, four = sorted(os.listdir(images))
    (images / 'more').mkdir()
    (images / three).rename(images / 'more' / three)
    (images / four).rename(images / f'.{four}')
    names = [f'./{one}', f'../training/{two}', f'more//{three}', f'.{four}']

    def change(content):
        for image, name in zip(content['images'], names, strict=True):
            image['file_name'] = name

    rewrite(root, 'instances', change, ['training'])
    assert lines(root, BOXES) == []
    names[0] = str(images / one)
    rewrite(root, 'instances', change, ['training'])
    assert lines(root, BOXES) == []
    (images / one).unlink()
    only(lines(root, BOXES), 'error', 'data_prefix.img: 1 files are missing', names[0][-10:])


def test_no_image_is_left(root):
    found = lines(root, BOXES, train_dataloader__dataset__filter_cfg__min_size=50)
    only(found, 'error', '0 of 4 images are left, because filter_cfg.min_size=50 leaves out 4')

    def change(content):
        for entry in content['annotations']:
            things = [one for one in entry['segments_info'] if one['category_id'] > 6]
            entry['segments_info'] = things

    rewrite(root, 'panoptic', change, ['training'])
    found = lines(root, SEGMENTS)
    only(found, 'error', '0 of 4 images are left, because filter_cfg.filter_empty_gt=True')


def test_most_images_are_left_out(root):
    def change(content):
        keep = content['images'][0]['id']
        content['annotations'] = [a for a in content['annotations'] if a['image_id'] == keep]

    rewrite(root, 'instances', change, ['training'])
    only(lines(root, BOXES), 'note', '1 of 4 images are left')
    # Images without annotations are right.
    assert lines(root, BOXES, train_dataloader__dataset__filter_cfg=None) == []


def test_accents_in_two_forms(root):
    """macOS took the accents of the files apart, but not those in the annotations."""

    def change(content):
        one = content['images'][0]
        old = root / 'images' / 'training' / one['file_name']
        old.rename(old.with_name('e\u0301.jpg'))
        one['file_name'] = '\u00e9.jpg'

    rewrite(root, 'instances', change, ['training'])
    only(lines(root, BOXES), 'error', '1 files are missing', 'accents of the name have another')


def test_annotations_twice(root):
    """As of a file that was joined with itself."""

    def change(content):
        copies = [{**one, 'id': one['id'] + 10_000} for one in content['annotations']]
        content['annotations'] += copies

    assert lines(root, BOXES) == []
    rewrite(root, 'instances', change, ['training'])
    only(lines(root, BOXES), 'note', 'annotations repeat the image, class and box of another')


def test_classes_of_another_data_set(root):
    """Its own were forgotten: those of COCO are the default."""
    cfg = config(root, BOXES)
    dataset = {**cfg.train_dataloader.dataset, '_delete_': True}
    del dataset['metainfo']
    (_, text), *_ = lines(root, BOXES, train_dataloader__dataset=dataset)
    assert text.endswith('must have those of the file: disk, box, ring, ...')
    assert 'has no category for 80 of the classes: airplane, apple, ' in text


def test_an_image_twice(root):
    def change(content):
        content['images'].append({**content['images'][0], 'id': 999})

    rewrite(root, 'instances', change, ['training'])
    only(lines(root, BOXES), 'note', '1 images are there more than once')


def test_a_test_set_without_annotations(root):
    """Metrics that cannot be measured are -1, which chooses no checkpoint in a validation."""
    path = path_of(root, 'instances', 'validation')
    content = json.loads(path.read_text())
    del content['annotations']
    path.write_text(json.dumps(content))
    cfg = config(root, BOXES)
    cfg.test_evaluator.format_only = True
    cfg.test_evaluator.outfile_prefix = str(root / 'out')
    assert lines_of_test(cfg) == []
    cfg.test_evaluator.format_only = False
    only(lines_of_test(cfg), 'note', 'test_evaluator.ann_file', 'has no annotations; what cannot')
    cfg.val_evaluator = cfg.test_evaluator
    with in_scope(cfg), pytest.raises(ValueError, match=r'val_evaluator\.ann_file: .* no annot'):
        check_data(cfg, ['val'])


def lines_of_test(cfg):
    cfg = copy.deepcopy(cfg)
    for key in ('train_dataloader', 'val_dataloader', 'val_evaluator'):
        cfg.pop(key)
    with in_scope(cfg):
        check_data(cfg, ['test'])
        found = [(line.kind, line.text) for line in inspect_data(cfg, 0)]
    return [line for line in found if line[0] != 'right']


def test_training_images_without_annotations(root):
    """Unlabelled ones of semi-supervised training, and parts of nothing but background."""
    (root / 'none.json').write_text(
        json.dumps(
            {**json.loads(path_of(root, 'instances').read_text()), 'annotations': []},
        )
    )
    cfg = config(root, BOXES)
    labelled = cfg.train_dataloader.dataset
    empty = {**labelled, 'ann_file': 'none.json', 'filter_cfg': {'filter_empty_gt': False}}
    steps = [{'type': 'LoadImageFromFile'}, {'type': 'LoadEmptyAnnotations'}]
    only(lines(root, BOXES, train_dataloader__dataset=empty), 'error', 'none.json: annotations ')
    for pipeline, kinds in ((steps, []), (labelled.pipeline, ['note'])):
        parts = [labelled, {**empty, 'pipeline': pipeline}]
        dataset = {'_delete_': True, 'type': 'ConcatDataset', 'datasets': parts}
        assert [kind for kind, _ in lines(root, BOXES, train_dataloader__dataset=dataset)] == kinds


def test_the_truth_is_neither_in_a_file_nor_packed(root):
    cfg = config(root, BOXES)
    found = lines(root, BOXES, val_evaluator__ann_file=None)
    only(found, 'error', 'val_evaluator: CocoMetric needs ann_file, or ', 'val_dataloader.dataset.')
    pipeline = copy.deepcopy(cfg.val_dataloader.dataset.pipeline)
    pipeline[-1].meta_keys += ('instances',)
    options = {'val_evaluator__ann_file': None, 'val_dataloader__dataset__pipeline': pipeline}
    assert lines(root, BOXES, **options) == []


# Evaluators.


def test_the_evaluator_reads_another_file(root):
    path = str(path_of(root, 'instances'))
    found = lines(root, BOXES, val_evaluator__ann_file=path)
    assert 'instances_training.json has 0 of the 2 images of val_dataloader' in found[0][1]


def test_the_evaluator_numbers_images_otherwise(root):
    path = path_of(root, 'instances', 'validation')
    content = json.loads(path.read_text())
    one, two = content['images']
    one['id'], two['id'] = two['id'], one['id']
    (root / 'other.json').write_text(json.dumps(content))
    found = lines(root, BOXES, val_evaluator__ann_file=str(root / 'other.json'))
    only(found, 'error', f'id {two["id"]} is {two["file_name"]}, there {one["file_name"]}')


def test_the_evaluator_has_more_images(root):
    """pycocotools counts what is in them as missed."""
    found = lines(root, BOXES, val_dataloader__dataset__indices=1)
    only(found, 'error', '1 of 2 images that the dataset does not give', 'would count as missed')


def test_the_evaluator_orders_categories_otherwise(root):
    path = path_of(root, 'instances', 'validation')
    content = json.loads(path.read_text())
    content['categories'].reverse()
    (root / 'other.json').write_text(json.dumps(content))
    found = lines(root, BOXES, val_evaluator__ann_file=str(root / 'other.json'))
    only(found, 'error', 'numbers the classes from label 0 on as strand, blob, star', 'disk, box')


# Panoptic files.


@pytest.mark.parametrize(
    ('change', 'text'),
    [
        (lambda one: one.update(isthing='1'), "category disk has the isthing '1', must be 0 or 1"),
        (lambda one: one.pop('isthing'), 'category disk has the isthing null, must be 0 or 1'),
        (lambda one: one.update(id=1.0), 'has 1 ids of categories such as 1.0, must be whole'),
        (lambda one: one.update(id='a'), "category disk has the id 'a', must be a whole number"),
    ],
)
def test_panoptic_categories(root, change, text):
    rewrite(root, 'panoptic', lambda content: change(content['categories'][0]), ['training'])
    assert any(text in message for _, message in lines(root, SEGMENTS))


@pytest.mark.parametrize(
    ('change', 'text'),
    [
        (lambda one: one.update(id=0), 'a segment with the id 0, must be a whole number, 1 to'),
        (lambda one: one.update(id=2**24), 'a segment with the id 16777216, must be a whole'),
        (lambda one: one.update(id='7'), "a segment with the id '7', must be a whole number"),
        (lambda one: one.update(area=0), 'mmdet skips 1 of'),
        (lambda one: one.pop('bbox'), 'has the box null, must be four numbers'),
        (lambda one: one.update(iscrowd='0'), "has the iscrowd '0', must be 0 or 1"),
    ],
)
def test_segments(root, change, text):
    def first(content):
        change(content['annotations'][0]['segments_info'][0])

    rewrite(root, 'panoptic', first, ['training'])
    assert text in lines(root, SEGMENTS)[0][1]


def test_two_segments_of_one_id(root):
    def change(content):
        one, two, *_ = content['annotations'][0]['segments_info']
        two['id'] = one['id']

    rewrite(root, 'panoptic', change, ['training'])
    assert 'has two segments with the id ' in lines(root, SEGMENTS)[0][1]


def test_an_image_without_segments(root):
    rewrite(root, 'panoptic', lambda content: content['annotations'].pop(), ['validation'])
    only(lines(root, SEGMENTS), 'error', 'val_evaluator.0.ann_file: ', 'no annotation of 1 of 2')
    # Training leaves such images out.
    rewrite(root, 'panoptic', lambda content: content['annotations'].pop(), ['training'])
    assert len(lines(root, SEGMENTS)) == 1
    found = lines(root, SEGMENTS, train_dataloader__dataset__filter_cfg=None)
    assert '1 images have no annotation: scene_' in found[0][1]


def test_maps(root):
    """Where mmdet looks for them in training, where the file says in the validation."""
    folder = root / 'panoptic' / 'validation'
    one, _ = sorted(folder.iterdir())
    one.rename(folder / 'renamed.png')
    only(
        lines(root, SEGMENTS), 'error', 'val_evaluator.0.seg_prefix: 1 files are missing', one.name
    )
    rename = each(file_name=lambda entry: entry['file_name'].replace(one.name, 'renamed.png'))
    rewrite(root, 'panoptic', rename, ['validation'])
    assert lines(root, SEGMENTS) == []
    one = min((root / 'panoptic' / 'training').iterdir())
    one.unlink()
    found = lines(root, SEGMENTS)
    only(found, 'error', 'train_dataloader.dataset.data_prefix.seg: 1 files are missing', one.name)


@pytest.mark.parametrize('suffix', ['.JPG', '.jpeg', '.png'])
def test_suffixes_of_images(root, suffix):
    for split in ('training', 'validation'):
        for path in (root / 'images' / split).iterdir():
            path.rename(path.with_suffix(suffix))

    def change(content):
        for image in content['images']:
            image['file_name'] = image['file_name'].replace('.jpg', suffix)

    for kind in ('instances', 'panoptic'):
        rewrite(root, kind, change)
    cfg = config(root, SEGMENTS)
    with in_scope(cfg):
        found = list(inspect_data(cfg, 4))
        dataset = cfg.train_dataloader.dataset
        from mmengine.registry import DATASETS

        sample = DATASETS.build(copy.deepcopy(dataset))[0]['data_samples']
    assert [line.kind for line in found] == ['right', 'right']
    assert len(sample.gt_instances) > 0


# Other places.


def test_wrappers_and_other_datasets(root):
    cfg = config(root, BOXES)
    dataset = cfg.train_dataloader.dataset.to_dict()
    wrapped = {'type': 'ConcatDataset', 'datasets': [{'type': 'RepeatDataset', 'dataset': dataset}]}
    with in_scope(cfg):
        check_dataset(wrapped, 'train')
        dataset['ann_file'] = 'nothing.json'
        message = r'^train\.datasets\.0\.dataset\.ann_file: no file .*/nothing\.json; point at'
        with pytest.raises(ValueError, match=message):
            check_dataset(wrapped, 'train')
        check_dataset({**dataset, 'backend_args': {'backend': 'petrel'}}, 'train')


def test_other_evaluators(root):
    other = {'type': 'LVISMetric', 'ann_file': str(path_of(root, 'instances'))}
    cfg = config(root, BOXES)
    for evaluator in (None, {'type': 'IoUMetric'}, other, {'metrics': [other]}):
        cfg.val_evaluator = evaluator
        with in_scope(cfg):
            check_data(cfg, ['val'])
    (root / 'bad.json').write_text('{')
    for change, message in (
        (
            {'ann_file': 'nowhere.json'},
            r'^val_evaluator\.1\.ann_file: nowhere\.json does not exist',
        ),
        (
            {'ann_file': str(root / 'bad.json')},
            r'^val_evaluator\.1\.ann_file: .* is not a complete',
        ),
        ({'seg_prefix': 'nowhere'}, r'val_evaluator\.1\.seg_prefix=PATH$'),
    ):
        cfg.val_evaluator = [other, {**other, **change}]
        with in_scope(cfg), pytest.raises(ValueError, match=message):
            check_data(cfg, ['val'])
    cfg.val_evaluator = {'ann_file': 's3://x', 'backend_args': {'backend': 'petrel'}}
    with in_scope(cfg):
        check_data(cfg, ['val'])


def test_each_file_is_read_once(root, monkeypatch):
    from sapa_mm.utils.coco_file import CocoFile

    paths = []
    read = CocoFile.read
    monkeypatch.setattr(CocoFile, 'read', lambda path: paths.append(path) or read(path))
    cfg = config(root, SEGMENTS)
    with in_scope(cfg):
        check_data(Config(cfg.to_dict()), ['train', 'val'])
    assert len(paths) == len({os.path.realpath(path) for path in paths}) == 3
