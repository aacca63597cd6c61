"""Depth maps are looked at as the loading step of a config reads them."""

import cv2
import numpy as np
import pytest
from mmcv.transforms import BaseTransform
from PIL import Image

pytest.importorskip('mmseg')

from mmengine.config import Config
from mmengine.registry import TRANSFORMS
from mmseg.datasets import BaseSegDataset, NYUDataset

from sapa_mm.datasets.checks import check_data, inspect_data
from sapa_mm.engine.config import in_scope

from ...support.depth_data import LOAD, lines_of, read, refuse, rewrite
from ...support.tool_configs import DEPTH, write_config

RANGE = 'far below model.decode_head.max_depth, 10: they are'
RIGHT = [('right', '4 images, 4 of them opened, with their annotations: depth 2 to 4 m, 98% of the '
          'pixels are measured')]  # fmt: skip


def rewrite_as(root, ending, change=lambda depth: depth):
    """Write the depth maps for training as numbers of 32 bits, in metres."""
    for path in (root / 'annotations/train').iterdir():
        depth = change(np.asarray(Image.open(path)).astype(np.float32) / 1000)
        if ending == '.npy':
            np.save(path.with_suffix(ending), depth)
        else:
            cv2.imwrite(str(path.with_suffix(ending)), depth)
        path.unlink()


def test_right_data(root):
    assert lines_of(root) == RIGHT
    cfg = read(root)
    with in_scope(cfg):
        check_data(cfg, ['train'])


def to_8_bits(depth):
    return (depth // 40).astype(np.uint8)


def to_colours(depth):
    return np.repeat(to_8_bits(depth)[..., None], 3, axis=2)


@pytest.mark.parametrize(
    ('change', 'message'),
    [
        (to_8_bits, f'{RANGE} 0.05 to 0.1 m with depth_rescale_factor=0.001; the files have 8 '
         'bits, save 16 in millimetres'),
        (lambda depth: depth // 1000, f'{RANGE} 0.002 to 0.004 m with depth_rescale_factor=0.001; '
         'if they are in metres, save them in millimetres'),
        (lambda depth: depth // 10, f'{RANGE} 0.2 to 0.4 m with depth_rescale_factor=0.001; if '
         'they are in centimetres, set it to 0.01'),
        (lambda depth: depth * 0, 'the 4 depth maps opened have no measured pixel, or one'),
        (lambda depth: depth * (np.arange(64 * 64).reshape(64, 64) == 0).astype(np.uint16),
         'the 4 depth maps opened have no measured pixel, or one'),
        (lambda depth: depth * 8, 'are above model.decode_head.max_depth, 10: they are 16 to 32 m'),
        (lambda depth: np.where(depth == 4000, 65535, depth).astype(np.uint16),
         'and many are 65535; write 0 where nothing was measured'),
        (lambda depth: depth[:32], 'annotations/train/0.png is 64x32, its image 64x64 (width x h'),
        (to_colours, '0.png (mode RGB) is read with the shape (64, 64, 3), a depth map has (hei'),
    ],
)  # fmt: skip
def test_wrong_content_of_all(root, change, message):
    rewrite(root, change)
    assert message in refuse(root)


@pytest.mark.extended
@pytest.mark.parametrize(
    ('change', 'kind', 'message'),
    [
        (to_8_bits, 'error', 'numbers of different types, for one depth_rescale_factor: 1 uint8 '),
        (to_colours, 'error', '0.png (mode RGB) is read with the shape'),
        (lambda depth: depth * 0, 'note', '1 of the 4 depth maps opened have no measured pixel, '),
        (lambda depth: depth * 8, 'note', '25% of the depths in the 4 depth maps opened are above'),
        (lambda depth: depth // 1000, 'note', '1 of the 4 depth maps opened have no depth above '),
    ],
)  # fmt: skip
def test_wrong_content_of_one(root, change, kind, message):
    rewrite(root, change, count=1)
    first = lines_of(root)[0]
    assert first[0] == kind
    assert message in first[1]


def test_palette(root):
    for path in (root / 'annotations/train').iterdir():
        image = Image.fromarray(to_8_bits(np.asarray(Image.open(path)))).convert('P')
        image.putpalette(list(range(256)) * 3)
        image.save(path)
    assert '0.png (mode P) is read with the shape (64, 64, 3)' in refuse(root)


@pytest.mark.parametrize('content', [b'no image', None])
def test_files_that_cannot_be_read(root, content):
    path = root / 'annotations/train/0.png'
    path.write_bytes(content or path.read_bytes()[:90])
    assert refuse(root) == (
        'annotations/train/0.png cannot be read: it is damaged, or of an unknown format'
    )


def test_files_of_real_numbers(root):
    rewrite_as(root, '.tif')
    data = {'depth_map_suffix': '.tif'}
    assert 'if they are in metres, set it to 1' in refuse(root, **data)
    ((kind, text),) = lines_of(root, {LOAD: {'depth_rescale_factor': 1}}, **data)
    assert kind == 'right'
    assert 'depth 2 to 4 m' in text


def test_numbers_that_are_none(root):
    rewrite_as(root, '.npy', lambda depth: np.where(depth == 0, np.nan, depth))
    step = {'depth_rescale_factor': 1, 'decode_backend': 'numpy'}
    note, right = lines_of(root, {LOAD: step}, depth_map_suffix='.npy')
    assert note[0] == 'note'
    assert note[1].startswith('the 4 depth maps opened have pixels that are NaN or infinite, write')
    assert right[1].endswith('depth 2 to 4 m, 98% of the pixels are measured')


def test_metres_as_whole_numbers(root):
    rewrite(root, lambda depth: depth // 1000)
    message = 'are in steps of 1 m, 10 up to model.decode_head.max_depth; save 16 bits, in mm'
    assert message in refuse(root, {LOAD: {'depth_rescale_factor': 1}})


def test_8_bits_for_all_depths(root):
    rewrite(root, to_8_bits)
    note, right = lines_of(root, {LOAD: {'depth_rescale_factor': 0.04}})
    assert note == (
        'note',
        'the 4 depth maps opened are in steps of 0.04 m, 250 up to model.decode_head.max_depth; '
        'save 16 bits, in mm',
    )
    assert 'depth 2 to 4 m' in right[1]


def test_depth_that_is_resized_for_a_test(root):
    """It must keep the size of the file, which predictions have."""
    cfg = Config.fromfile(write_config(root.parent / 'config.py', DEPTH, root))
    resize = {'type': 'Resize', 'scale': (32, 32)}
    pipeline = cfg.val_dataloader.dataset.pipeline
    for place, is_right in ((1, True), (2, False)):
        cfg.val_dataloader.dataset.pipeline = [*pipeline[:place], resize, *pipeline[place:]]
        with in_scope(cfg):
            lines = [line.text for line in inspect_data(cfg) if line.kind == 'error']
        if is_right:
            assert lines == []
            continue
        assert lines == [
            f'val_dataloader.dataset.pipeline: the depth map of {root}/images/test/0.jpg comes out '
            'as 32x32, its prediction as 64x64 (width x height); load depth maps after the steps '
            'that resize images'
        ]


def test_steps_of_somebody_else_are_trusted(root):
    """They may make depth of whatever is in the files."""

    class FromColours(BaseTransform):
        def transform(self, results):
            results['gt_depth_map'] = results['gt_depth_map'][..., 0] * np.float32(40)
            return results

    rewrite(root, to_colours)
    cfg = read(root)
    TRANSFORMS.register_module('FromColours', module=FromColours)
    try:
        cfg.train_dataloader.dataset.pipeline.insert(LOAD + 1, {'type': 'mmengine.FromColours'})
        with in_scope(cfg):
            check_data(cfg, ['train'])
            lines = [line for line in inspect_data(cfg) if line.text.startswith('train')]
    finally:
        TRANSFORMS.module_dict.pop('FromColours')
    assert [line.kind for line in lines] == ['note', 'right']
    assert lines[0].text.endswith('a step of your own may correct it')


def test_names_for_a_dataset_of_ones_own(root, monkeypatch):
    """Kinds of rooms, and so digits in names, are NYU's alone."""
    for path in list(root.glob('*/train/*')):
        path.rename(path.with_name('abcd'[int(path.stem)] + path.suffix))
    assert refuse(root).endswith(
        'have no digit in their names, in front of which NYUDataset looks for the kind of room: '
        'a.jpg, b.jpg, c.jpg, ...; number them'
    )

    class Own(NYUDataset):
        def _get_category_id_from_filename(self, image_fname):
            return -1

    assert [kind for kind, _ in lines_of(root, type=Own)] == ['right']


def test_datasets_of_ones_own(root):
    """A list of their own, or a step that tells where depth maps are."""

    class Own(BaseSegDataset):
        METAINFO = {'classes': ('anything',)}

        def load_data_list(self):
            infos = super().load_data_list()
            paths = [info['img_path'].replace('images', 'annotations') for info in infos]
            return [
                {**info, 'depth_map_path': path.replace('jpg', 'png')}
                for info, path in zip(infos, paths, strict=True)
            ]

    data = {'type': Own, 'data_prefix': {'img_path': 'images/train'}}
    assert lines_of(root, **data) == RIGHT
    rewrite(root, to_8_bits)
    assert f'{RANGE} 0.05 to 0.1 m' in refuse(root, **data)


def test_wrappers(root):
    cfg = read(root)
    single = cfg.train_dataloader.dataset
    cfg.train_dataloader.dataset = {
        'type': 'ConcatDataset',
        'datasets': [{'type': 'RepeatDataset', 'times': 2, 'dataset': single}, single],
    }
    with in_scope(cfg):
        check_data(cfg, ['train'])
        rewrite(root, lambda depth: depth * 0)
        with pytest.raises(ValueError, match=r'datasets\.0\.dataset: the 4 depth maps opened have'):
            check_data(cfg, ['train'])
