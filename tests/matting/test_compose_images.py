"""Test images of Composition-1k and of plain folders: composed to the bit, once."""

import math
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

pytest.importorskip('mmcv')

from mmengine.registry import DATASETS

from sapa_mm.engine.config import in_scope
from sapa_mm.matting import MattingDataset
from sapa_mm.matting.compose_images import compose_comp1k, compose_plain
from sapa_mm.matting.trimap import trimap_of_alpha
from sapa_mm.utils.composition import compose

from ..support.configs import load
from ..support.matting_data import save, write_plain

SIZE = (40, 50)


def read(path):
    return np.asarray(Image.open(path))


def literally(fg, bg, alpha):
    """Adobe's script: pixel by pixel, in Python's floats."""
    image = bg.copy()
    for row, column in np.ndindex(alpha.shape):
        share = int(alpha[row, column]) / 255
        for channel in range(3):
            f, b = int(fg[row, column, channel]), int(bg[row, column, channel])
            image[row, column, channel] = int(share * f + (1 - share) * b) if share < 1 else f
    return image


def write_comp1k(root, folder='Adobe-licensed images/'):
    """Two foregrounds to train on; two with three backgrounds each, which are smaller or larger."""
    rng = np.random.default_rng(0)
    training_set = write_plain(root / 'Training_set', count=2, size=SIZE, kind=folder)
    (training_set / 'bg').rename(root / 'train2014')
    for kind in ('fg', 'alpha') if folder else ():
        other = training_set / 'Other' / kind / 'f1.png'
        other.parent.mkdir(parents=True)
        (training_set / folder / kind / 'f1.png').rename(other)
    test_set = write_plain(root / 'Test_set', count=2, size=SIZE, kind=folder)
    for name in ('f0', 'f1'):
        trimap = trimap_of_alpha(read(test_set / f'{folder}alpha/{name}.png'), 1, 1)
        for k in range(3):
            save(test_set / f'{folder}trimaps/{name}_{k}.png', trimap)
    (root / 'voc').mkdir(parents=True)
    names = [f'2008_{number}.jpg' for number in range(6)]
    for number, name in enumerate(names):
        height, width = (30, 60) if number % 2 else (55, 64)
        image = rng.integers(0, 256, (height, width, 3), np.uint8)
        Image.fromarray(image).save(root / 'voc' / name)
    (test_set / 'test_fg_names.txt').write_text('f1.png\nf0.png\n')
    (test_set / 'test_bg_names.txt').write_text('\n'.join(names[::-1]))
    return names[::-1]


def test_every_pair_of_values_to_the_bit():
    alpha, fg = np.mgrid[:256, :256].astype(np.uint8)
    fg = np.dstack([fg, fg[:, ::-1], fg])
    bg = np.random.default_rng(0).integers(0, 256, fg.shape, np.uint8)
    assert (compose(fg, bg, alpha) == literally(fg, bg, alpha)).all()


@pytest.mark.parametrize('folder', ['Adobe-licensed images/', ''])
def test_composition_1k(tmp_path, folder):
    names = write_comp1k(tmp_path, folder)
    assert compose_comp1k(str(tmp_path), str(tmp_path / 'voc')) == 6
    merged = tmp_path / 'Test_set/merged'
    assert len(list(merged.iterdir())) == 6
    for number, name in enumerate(names):
        foreground, k = ('f1', 'f0')[number // 3], number % 3
        background = Image.open(tmp_path / 'voc' / name)
        ratio = max(50 / background.width, 40 / background.height)
        if ratio > 1:
            sides = [math.ceil(side * ratio) for side in background.size]
            background = background.resize(sides, Image.BICUBIC)
        background = np.asarray(background)[:40, :50]
        layers = tmp_path / 'Test_set' / folder
        fg, alpha = (read(layers / kind / f'{foreground}.png') for kind in ('fg', 'alpha'))
        expected = literally(fg, background, alpha)
        assert (read(merged / f'{foreground}_{k}.png') == expected).all()
    check_data_of_table_8(str(tmp_path))


def check_data_of_table_8(root):
    """The configs read the folder as it is now."""
    cfg = load('a2u-matting_r34_bilinear_2xb8-180k_comp1k')
    with in_scope(cfg):
        train, val = (
            DATASETS.build({**cfg[f'{split}_dataloader'].dataset, 'data_root': root})
            for split in ('train', 'val')
        )
    assert len(train) == len(train.backgrounds) == 2
    assert train[1]['inputs'].shape == (3, 512, 512)
    assert len(val) == 6
    for number, sample in enumerate(val):
        sample = sample['data_samples']
        assert Path(sample.trimap_path).name == f'f{number // 3}_{number % 3}.png'
        assert Path(sample.alpha_path).name == f'f{number // 3}.png'
        assert (
            sample.trimap.data[(sample.gt_alpha.data > 0) & (sample.gt_alpha.data < 1)] == 128
        ).all()


def test_existing_images_are_kept(tmp_path):
    write_comp1k(tmp_path)
    arguments = str(tmp_path), str(tmp_path / 'voc')
    compose_comp1k(*arguments)
    merged = tmp_path / 'Test_set/merged'
    first = (merged / 'f0_0.png').read_bytes()
    save(merged / 'f0_0.png', np.zeros((2, 2)))
    (merged / 'f0_1.png').unlink()
    assert compose_comp1k(*arguments) == 1
    assert (merged / 'f0_0.png').read_bytes() != first
    assert compose_comp1k(*arguments, overwrite=True) == 6
    assert (merged / 'f0_0.png').read_bytes() == first


def test_foregrounds_that_exif_turns(tmp_path):
    """They are composed upright, as they are trained with."""
    for name in ('stored', 'turned'):
        root = write_plain(tmp_path / name, count=1)
        image = Image.open(root / 'fg/f0.png')
        exif = Image.Exif()
        if name == 'turned':
            image = image.transpose(Image.Transpose.ROTATE_180)
            exif[0x0112] = 3
        image.save(root / 'fg/f0.png', exif=exif)
        compose_plain(str(root), num_backgrounds=1)
    one, other = (read(tmp_path / name / 'merged/f0_0.png') for name in ('stored', 'turned'))
    assert (one == other).all()


def test_plain_folder(tmp_path):
    """The images of a seed, with trimaps that fit, as the dataset reads them."""
    runs = [write_plain(tmp_path / name) for name in 'abc']
    for root, seed in zip(runs, (1, 1, 2), strict=True):
        assert compose_plain(str(root), num_backgrounds=4, seed=seed) == 12
    steps = ('LoadMattingImage', 'LoadTrimap', 'LoadAlphaAnnotations', 'PackMattingInputs')
    prefix = dict(img_path='merged', trimap_path='trimaps', alpha_path='alpha')
    options = dict(data_prefix=prefix, pipeline=[dict(type=name) for name in steps], test_mode=True)
    one, same, other = (MattingDataset(data_root=str(root), **options) for root in runs)
    assert len(one) == 12
    assert all((one[index]['inputs'] == same[index]['inputs']).all() for index in range(12))
    assert any((one[index]['inputs'] != other[index]['inputs']).any() for index in range(12))
    for index in range(12):
        sample = one[index]['data_samples']
        alpha, trimap = sample.gt_alpha.data, sample.trimap.data
        assert alpha.shape == trimap.shape == (1, *SIZE)
        assert (trimap[(alpha > 0) & (alpha < 1)] == 128).all()
        assert (alpha[trimap == 255] == 1).all()
        assert 'gt_fg' not in sample
        assert sample.trimap_path == sample.img_path.replace('merged', 'trimaps')
        assert sample.ori_shape == SIZE


def test_a_foreground_with_the_name_of_a_composed_image(tmp_path):
    """Its alpha would be that of the image."""
    write_plain(tmp_path)
    for kind in ('fg', 'alpha'):
        (tmp_path / kind / 'f2.png').rename(tmp_path / kind / 'f0_1.png')
    with pytest.raises(
        ValueError, match=r'f0_1.png has the name of an image of .*f0.png, f0_1.png'
    ):
        compose_plain(str(tmp_path), num_backgrounds=2)
    assert not any((tmp_path / 'merged').glob('*'))
    assert compose_plain(str(tmp_path), num_backgrounds=1) == 3


@pytest.mark.parametrize(
    ('change', 'message'),
    [
        (lambda root: (root / 'voc/2008_3.jpg').unlink(), 'bg_path: .*voc lacks 1 of .*2008_3.jpg'),
        (
            lambda root: (root / 'Test_set/test_bg_names.txt').write_text('2008_0.jpg'),
            'test_bg_names.txt must have as many names for each of the 2 foregrounds, got 1',
        ),
        (lambda root: (root / 'voc/2008_0.jpg').write_text('text'), '0.jpg cannot be read as'),
        (lambda root: (root / 'Test_set/merged').touch(), 'root: .*merged is not a folder'),
        (
            lambda root: save(next(root.glob('*/*/alpha/f0.png')), np.zeros((4, 4))),
            r'alpha/f0.png must have the size of .*fg/f0.png, \(40, 50\) .* got \(4, 4\)',
        ),
    ],
)
def test_what_is_missing_or_unfit(tmp_path, change, message):
    write_comp1k(tmp_path)
    change(tmp_path)
    with pytest.raises((OSError, ValueError), match=message) as error:
        compose_comp1k(str(tmp_path), str(tmp_path / 'voc'))
    assert '\n' not in str(error.value)
