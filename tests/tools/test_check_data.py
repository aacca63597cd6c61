"""tools/check_data.py on correct and on broken folders, made from scenes."""

import json
import re

import numpy as np
import pytest
from PIL import Image

pytest.importorskip('mmdet')
pytest.importorskip('mmseg')

from sapa_mm.datasets import write_rooms, write_scenes
from sapa_mm.datasets.camvid import prepare_camvid
from sapa_mm.utils.text import printable

from ..support.camvid_data import write_camvid
from ..support.run_tool import TOOLS, call_tool

CONFIGS = TOOLS.parent / 'configs'
SEGFORMER = 'segformer/segformer_mit-tiny_bilinear_1xb8-300_scenes-128x128.py'
ADE20K = 'segformer/segformer_mit-b1_bilinear_8xb2-80k_ade20k-512x512.py'
DEPTHFORMER = 'depthformer/depthformer_swin-mini_bilinear_1xb8-1500_scenes-128x128.py'
CAMVID = 'segformer/segformer_mobilenet-v2_bilinear_1xb8-1200_camvid-192x192.py'
MASK_RCNN = 'mask_rcnn/mask-rcnn_r18-small_fpn-nearest_1xb8-300_scenes-160x160.py'
PANOPTIC = 'panoptic_fpn/panoptic-fpn_r18-small_nearest_1xb8-300_scenes-160x160.py'


@pytest.fixture
def root(tmp_path):
    write_scenes(tmp_path / 'data', num_train=4, num_val=2, size=(48, 64))
    return tmp_path / 'data'


@pytest.fixture
def check(capsys, root):
    """Run the tool on the scenes and return its lines, after checking the exit code."""

    def run(config, *arguments, code=1):
        assert call_tool('check_data', CONFIGS / config, *arguments, '--data-root', root) == code
        lines = capsys.readouterr().out.replace(str(root), '').splitlines()
        # The host libraries print too.
        return [line for line in lines if line.startswith(('error: ', 'note: ', 'right: '))]

    return run


def first(folder):
    return min(folder.iterdir())


def rewrite(path, change):
    content = json.loads(path.read_text())
    change(content)
    path.write_text(json.dumps(content))


@pytest.mark.parametrize('config', [SEGFORMER, MASK_RCNN, PANOPTIC])
def test_right_tree(check, config):
    assert check(config, code=0) == [
        'right: train_dataloader.dataset: 4 images, 4 of them opened, with their annotations',
        'right: val_dataloader.dataset: 2 images, 2 of them opened, with their annotations',
    ]


def test_depth(capsys, tmp_path):
    write_rooms(tmp_path, num_train=3, num_val=2, size=(48, 64))
    arguments = [CONFIGS / DEPTHFORMER, '--data-root', tmp_path]
    assert call_tool('check_data', *arguments) == 0
    lines = [line for line in capsys.readouterr().out.splitlines() if ': train_' in line]
    assert len(lines) == 1
    assert re.fullmatch(
        r'right: train_dataloader\.dataset: 3 images, 3 of them opened, with their annotations: '
        r'depth [\d.]+ to [\d.]+ m, 9\d% of the pixels are measured',
        lines[0],
    )
    for path in (tmp_path / 'annotations/train').iterdir():
        Image.fromarray(np.asarray(Image.open(path)) // 1000).save(path)
    assert call_tool('check_data', *arguments) == 1
    assert 'if they are in metres, save them in millimetres' in capsys.readouterr().out


def test_number_of_samples(check):
    assert check(SEGFORMER, '--samples', 3, code=0)[0].endswith(
        '4 images, 3 of them opened, with their annotations'
    )


def test_another_test_set(check, root):
    """A test set that is not that of validation is looked at, too, part by part."""
    test = ['--cfg-options', 'test_dataloader.dataset.data_prefix.img_path=images/training']
    prefix = 'test_dataloader.dataset.data_prefix.seg_map_path='
    lines = check(SEGFORMER, *test, f'{prefix}annotations/training', code=0)
    assert lines[-1].startswith('right: test_dataloader.dataset: 4 images')
    lines = check(SEGFORMER, *test, f'{prefix}nowhere')
    assert lines[2].startswith(f'error: {prefix[:-1]}: no folder /nowhere')


def test_part_of_a_known_dataset_is_noted(check):
    lines = check(ADE20K, code=0)
    text = '4 images; the whole ADE20KDataset has 20,210 in this split'
    assert lines[0] == f'note: train_dataloader.dataset: {text}'
    assert any(line.startswith('note: val_dataloader.dataset: 2 images; the') for line in lines)


def test_missing_folders(check, root):
    (root / 'images' / 'training').rename(root / 'elsewhere')
    (root / 'annotations' / 'validation').rename(root / 'elsewhere_too')
    lines = check(SEGFORMER)
    assert len(lines) == 2
    assert lines[0].startswith(
        'error: train_dataloader.dataset.data_prefix.img_path: no folder /images/training; '
    )
    assert lines[1].startswith(
        'error: val_dataloader.dataset.data_prefix.seg_map_path: no folder /annotations/validation;'
    )


def test_images_without_annotations(check, root):
    lost = first(root / 'annotations' / 'training')
    lost.unlink()
    line, _ = check(SEGFORMER)
    assert line == (
        'error: train_dataloader.dataset.data_prefix.seg_map_path: 1 files are missing in '
        f'/annotations/training: {lost.name}'
    )


@pytest.mark.parametrize(('config', 'most'), [(SEGFORMER, 11), (ADE20K, 150)])
def test_label_above_the_classes(check, root, config, most):
    path = first(root / 'annotations' / 'training')
    labels = np.array(Image.open(path))
    labels[0, 0], labels[0, 1], labels[0, 2] = most + 1, most, 255
    Image.fromarray(labels).save(path)
    (line,) = (line for line in check(config) if line.startswith('error'))
    assert line == (
        f'error: train_dataloader.dataset: /annotations/training/{path.name} has label '
        f'{most + 1}, allowed are 0 to {most} and 255'
    )


def test_unlabelled_pixels_numbered_after_the_classes(check, root, tmp_path):
    """CamVid's void is 11, one more than its classes."""
    prepare_camvid(str(write_camvid(tmp_path / 'public')), str(root))
    path = first(root / 'annotations' / 'train')
    for labels, hint in (
        ([11], '; if it stands for unlabelled pixels, make it 255, or set ignore_index'),
        ([12], ''),
        ([11, 12], ''),
    ):
        Image.fromarray(np.resize(np.uint8(labels), (36, 48))).save(path)
        (line,) = (line for line in check(CAMVID) if line.startswith('error'))
        assert line == (
            f'error: train_dataloader.dataset: /annotations/train/{path.name} has label '
            f'{labels[-1]}, allowed are 0 to 10 and 255{hint}'
        )


def test_many_problems_of_a_kind_are_counted(check, root):
    write_scenes(root, num_train=30, num_val=2, size=(48, 64), overwrite=True)
    for path in (root / 'annotations' / 'training').iterdir():
        Image.fromarray(np.full((48, 64), 77, np.uint8)).save(path)
    lines = [line for line in check(SEGFORMER) if 'has label 77' in line]
    assert len(lines) == 11
    assert lines[-1].endswith('... and 19 more')


def test_damaged_files(check, root):
    maps, images = root / 'annotations' / 'training', root / 'images' / 'training'
    one, two, three, four = sorted(path.stem for path in images.iterdir())
    (images / f'{one}.jpg').write_bytes((images / f'{one}.jpg').read_bytes()[:300])
    Image.fromarray(np.ones((48, 60), np.uint8)).save(maps / f'{two}.png')
    Image.fromarray(np.zeros((48, 64, 3), np.uint8)).save(maps / f'{three}.png')
    (maps / f'{four}.png').write_bytes(b'no image')
    lines = check(SEGFORMER)
    assert [line.startswith('error: train_dataloader.dataset: /') for line in lines[:4]] == [
        True
    ] * 4
    assert f'/images/training/{one}.jpg cannot be read: ' in lines[0]
    assert f'/annotations/training/{two}.png is 60x48, its image 64x48 (width x height)' in lines[1]
    assert f'{three}.png (mode RGB) is read with 3 channels, a label map has one' in lines[2]
    assert f'/annotations/training/{four}.png cannot be read: ' in lines[3]
    assert [line[:5] for line in lines[4:]] == ['note:', 'right']


def test_truncated_json(check, root):
    path = root / 'annotations' / 'instances_training.json'
    path.write_text(path.read_text()[:500])
    line, _ = check(MASK_RCNN)
    assert line.startswith(
        'error: train_dataloader.dataset.ann_file: /annotations/instances_training.json is not a '
        'complete JSON file ('
    )


def test_missing_file_of_the_evaluator(check, root):
    """The dataset uses the same file."""
    (root / 'annotations' / 'instances_validation.json').unlink()
    right, dataset, evaluator = check(MASK_RCNN)
    assert right.startswith('right: ')
    assert 'val_dataloader.dataset.ann_file: no file /annotations/' in dataset
    assert 'val_evaluator.ann_file: /annotations/instances_validation.json does not' in evaluator
    assert evaluator.endswith(' with --cfg-options val_evaluator.ann_file=PATH')


def test_coco_that_contradicts_itself(check, root):
    def change(content):
        content['categories'] = [one for one in content['categories'] if one['name'] != 'disk']
        used = {one['id'] for one in content['categories']}
        content['annotations'] = [a for a in content['annotations'] if a['category_id'] in used]
        one, two, three, *_ = content['annotations']
        one['image_id'] = 999
        two['category_id'] = 77
        three['segmentation'] = []
        last = content['images'][-1]
        last['width'] += 4
        content['annotations'] = [a for a in content['annotations'] if a['image_id'] != last['id']]

    rewrite(root / 'annotations' / 'instances_training.json', change)
    lines = [line.removeprefix('error: train_dataloader.dataset') for line in check(MASK_RCNN)]
    where = '.ann_file: /annotations/instances_training.json'
    assert lines[0].startswith(f'{where}: annotation ')
    assert lines[0].endswith('is of image 999, which is missing')
    assert lines[1].endswith('has category 77, which is missing')
    assert lines[2].endswith('has no segmentation')
    assert lines[3] == f'{where} has no category for 1 of the classes: disk'
    assert ' is 64x48, its annotation says 68x48 (width x height)' in lines[4]
    assert len(lines) == 6


def test_panoptic_ids(check, root):
    path = root / 'annotations' / 'panoptic_training.json'

    def change(content):
        content['annotations'][0]['segments_info'][0]['id'] = 4711

    rewrite(path, change)
    lacking, absent, _ = check(PANOPTIC)
    name = json.loads(path.read_text())['annotations'][0]['file_name']
    assert f'/panoptic/training/{name} has segments that the JSON file lacks: ' in lacking
    assert f'/panoptic/training/{name} has no pixel of segments in the JSON file: 4711' in absent


def test_panoptic_category(check, root):
    def change(content):
        content['annotations'][1]['segments_info'][0]['category_id'] = 99

    rewrite(root / 'annotations' / 'panoptic_training.json', change)
    line, _ = check(PANOPTIC)
    assert line.startswith(
        'error: train_dataloader.dataset.ann_file: /annotations/panoptic_training'
    )
    assert line.endswith('has category 99, which is missing')


def first_lines(check, root, config, change):
    """The messages about the training set's annotations, without the place."""
    kind = 'panoptic' if config == PANOPTIC else 'instances'
    rewrite(root / 'annotations' / f'{kind}_training.json', change)
    lines = [line for line in check(config) if 'train_dataloader' in line]
    place = f'error: train_dataloader.dataset.ann_file: /annotations/{kind}_training.json'
    return [line.removeprefix(place).lstrip(': ') for line in lines]


@pytest.mark.parametrize('text', ['[1, 2]', '"hello"', '{"images": null}', '{"images": [7, {}]}'])
def test_json_of_another_kind(check, root, text):
    (root / 'annotations' / 'instances_training.json').write_text(text)
    *lines, right = check(MASK_RCNN)
    place = 'error: train_dataloader.dataset.ann_file: /annotations/instances_training.json: '
    assert lines
    assert all(line.startswith(place) for line in lines)
    assert right.startswith('right: val_dataloader')


def test_json_cut_after_a_brace(check, root):
    path = root / 'annotations' / 'instances_training.json'
    text = path.read_text()
    path.write_text(text[: text.index('}', text.index('"annotations"')) + 1])
    (line,) = (line for line in check(MASK_RCNN) if 'train_dataloader' in line)
    assert '/annotations/instances_training.json is not a complete JSON file (' in line


def test_unreadable_folder(check, monkeypatch):
    """Simulated, since root may read every folder."""

    def refuse(listing, folder, prefix):
        raise PermissionError(13, 'Permission denied', folder)

    monkeypatch.setattr('sapa_mm.datasets.checks.segmentation_files._Folder._walk', refuse)
    lines = check(SEGFORMER)
    assert len(lines) == 2
    assert all(' cannot be read: [Errno 13] Permission denied' in line for line in lines)


def test_malformed_images_and_lists(check, root):
    def change(content):
        one, two, three, _ = content['images']
        one['height'] = None
        del two['width']
        three['id'] = two['id']

    lines = first_lines(check, root, MASK_RCNN, change)
    assert lines[:2] == ['images[0] has the height null', 'images[1] has the width null']
    assert lines[2].startswith('images[2] has the id of another image, ')


@pytest.mark.parametrize('annotations', [{}, [], None])
def test_no_annotations(check, root, annotations):
    (line,) = first_lines(check, root, MASK_RCNN, lambda c: c.update(annotations=annotations))
    shown = 'null' if annotations is None else annotations
    assert line.endswith(f'annotations must be a list with entries, got {shown}')


MALFORMED = {
    'three numbers': (dict(bbox=[1, 2, 3]), 'the box [1, 2, 3], must be four numbers'),
    'no box': (dict(bbox=None), 'the box null, must be four numbers'),
    'strings': (dict(bbox=['1', '2', '3', '4']), "the box ['1', '2', '3', '4'], must be"),
    'NaN': (dict(bbox=[1, 2, float('nan'), 4]), 'the box [1, 2, nan, 4], must be four numbers'),
    'no area': (dict(area=None), 'the area null'),
    'a category': (dict(category_id=[1]), 'category [1], which is missing'),
    'a short polygon': (dict(segmentation=[[1, 2]]), 'the segmentation [[1, 2]], must be a mask'),
    'a mask of another size': (
        dict(segmentation=dict(size=[9, 64], counts=[576])),
        'a mask with the size [9, 64], its image is [48, 64] (height, width)',
    ),
}


def test_malformed_annotations(check, root):
    def change(content):
        for annotation, (changes, _) in zip(
            content['annotations'], MALFORMED.values(), strict=False
        ):
            annotation.update(changes)
        content['annotations'].append(None)

    lines = first_lines(check, root, MASK_RCNN, change)
    assert len(lines) == len(MALFORMED) + 1
    for _, text in MALFORMED.values():
        assert sum(f' has {text}' in line for line in lines) == 1
    assert lines[0].endswith('must be an object, got null')


@pytest.mark.parametrize('digits', [400, pytest.param(19, marks=pytest.mark.extended)])
def test_numbers_that_are_too_large(check, root, digits):
    number = 10**digits

    def change(content):
        content['images'][0]['width'] = number
        content['images'][1]['id'] = content['categories'][0]['id'] = number
        one, two, three, *_ = content['annotations']
        one['id'] = two['area'] = three['bbox'][0] = number

    rewrite(root / 'annotations' / 'instances_training.json', change)
    lines = ' '.join(check(MASK_RCNN))
    for text in (
        'images[0] has the width',
        'images[1] has the id',
        'categories[0] needs an id',
        'annotations[0] has the id',
        'has the area',
        'has the box',
    ):
        assert text in lines


@pytest.mark.parametrize(
    ('name', 'text'),
    [
        ('/dev/zero', 'data_prefix.img: 1 files are missing in /images/training: /dev/zero'),
        ('/etc/passwd', 'train_dataloader.dataset: /etc/passwd cannot be '),
        pytest.param('a\0b', 'data_prefix.img: 1 files are missing', marks=pytest.mark.extended),
    ],
)
def test_files_that_are_no_images(check, root, name, text):
    """A name may lead out of the folder, as mmdet lets it."""
    path = root / 'annotations' / 'instances_training.json'
    rewrite(path, lambda content: content['images'][0].update(file_name=name))
    assert text in check(MASK_RCNN)[0]


@pytest.mark.parametrize('name', ['\x1b[2J\nright: all', '\ud800'])
def test_names_with_control_characters(check, root, name):
    def change(content):
        content['categories'][0]['name'] = name

    rewrite(root / 'annotations' / 'instances_training.json', change)
    lines = [line for line in check(MASK_RCNN) if 'among the classes' in line]
    assert lines
    assert printable(name) in lines[0]


@pytest.mark.parametrize(('config', 'kind'), [(MASK_RCNN, 'note'), (PANOPTIC, 'error')])
def test_category_that_is_no_class(check, root, config, kind):
    def change(content):
        content['categories'].append({**content['categories'][0], 'id': 99, 'name': 'unicorn'})
        one, two, *_ = content['annotations']
        for part in one.get('segments_info', [one])[:1] + two.get('segments_info', [two])[:1]:
            part['category_id'] = 99

    file = 'panoptic' if config == PANOPTIC else 'instances'
    rewrite(root / 'annotations' / f'{file}_training.json', change)
    lines = check(config, code=int(kind == 'error'))
    assert lines[0] == (
        f'{kind}: train_dataloader.dataset.ann_file: /annotations/{file}_training.json has '
        'annotations of categories that are not among the classes: unicorn (2)'
    )
    assert lines[1].startswith('right: ' + ('train' if kind == 'note' else 'val'))


def test_eleven_problems_are_all_named(check, root):
    write_scenes(root, num_train=11, num_val=2, size=(48, 64), overwrite=True)
    for path in (root / 'annotations' / 'training').iterdir():
        Image.fromarray(np.full((48, 64), 77, np.uint8)).save(path)
    lines = [line for line in check(SEGFORMER) if 'has label 77' in line]
    assert len(lines) == 11
    assert 'more' not in lines[-1]
