"""Files of matting data sets are missed before anything is built."""

import os

import numpy as np
import pytest
from PIL import Image

from ...support.matte_checks import TRAIN, VAL, lines_of, notes, refuse
from ...support.tool_configs import write_mattes


def remove(root, *paths):
    for path in paths:
        (root / path).unlink()


@pytest.mark.parametrize(
    ('paths', 'message'),
    [
        (['train/alpha/1.png'], f'{TRAIN}.data_prefix.alpha_path: train/alpha lacks 1 of the '
         'images: 1.png'),
        (['test/trimaps/0.png', 'test/trimaps/2.png'], f'{VAL}.data_prefix.trimap_path: '
         'test/trimaps lacks 2 of the images: 0.png, 2.png'),
        ([f'train/bg/{index}.png' for index in range(4)], f'{TRAIN}.data_prefix.bg_path: no image '
         'in train/bg, of the endings .bmp, .jpeg, .jpg, .png, .tif, .tiff, .webp'),
    ],
)  # fmt: skip
def test_what_does_not_pair(mattes, paths, message):
    remove(mattes, *paths)
    assert refuse(mattes) == message


def test_no_folder_of_backgrounds(mattes):
    (mattes / 'train/bg').rename(mattes / 'backgrounds')
    assert refuse(mattes) == (
        f'{TRAIN}.data_prefix.bg_path: no folder train/bg; point at the data with `data_root` '
        f'FOLDER or `cfg_options` {TRAIN}.data_root=FOLDER, or make the generated mattes: python '
        f'tools/make_scenes.py {mattes} --kind mattes'
    )


@pytest.mark.parametrize('key', ['fg', 'alpha', 'bg'])
def test_empty_files(mattes, key):
    (mattes / f'train/{key}/3.png').write_bytes(b'')
    text = f'1 files are empty, or links that lead nowhere: train/{key}/3.png'
    assert refuse(mattes) == f'{TRAIN}.data_prefix.{key}_path: {text}'


def test_links_that_lead_nowhere(mattes):
    remove(mattes, 'test/alpha/2.png')
    os.symlink('nowhere.png', mattes / 'test/alpha/2.png')
    assert 'links that lead nowhere: test/alpha/2.png' in refuse(mattes)


def test_images_that_are_not_read(mattes):
    remove(mattes, 'train/fg/0.png')
    (mattes / 'test/merged/1.heic').touch()
    some = notes(mattes, {f'{VAL}.indices': 2})  # the others are left out on purpose
    assert not any(text.startswith(VAL) for text in some)
    assert notes(mattes) == [
        f'{TRAIN}.data_prefix.alpha_path: 1 images in {mattes}/train/alpha are not read, they have '
        'no partner or another ending: 0.png'.replace(f'{mattes}/', ''),
        f'{VAL}.data_prefix.img_path: 1 images in test/merged are not read, they have no partner '
        'or another ending: 1.heic',
    ]


@pytest.mark.parametrize(
    ('folder', 'change', 'message'),
    [
        ('train/alpha', lambda alpha: alpha[:40], f'{TRAIN}: train/alpha/7.png must have the size '
         'of train/fg/7.png, (64, 64) (height, width), got (40, 64)'),
        ('test/trimaps', lambda trimap: trimap * np.uint16(257), f'{VAL}: test/trimaps/7.png must '
         'have 8 bits a channel, got 16'),
    ],
)  # fmt: skip
def test_files_that_a_run_does_not_open(tmp_path, folder, change, message):
    """Of many a few are opened; 7.png is not among them."""
    root = tmp_path / 'mattes'
    write_mattes(root, count=12)
    path = root / folder / '7.png'
    Image.fromarray(change(np.asarray(Image.open(path)))).save(path)
    assert refuse(root) == message


@pytest.mark.parametrize(
    ('content', 'message'),
    [
        (b'0.png\r\n2.png\r\n', None),
        (b'\xef\xbb\xbf0.png\n', None),
        (b'0.png\n4.png\n', f'{TRAIN}.data_prefix.fg_path: train/fg lacks 1 of list.txt: 4.png'),
        (b'\xe90.png', f'{TRAIN}.ann_file: list.txt must be a text in UTF-8: '),
        (b'\n', f'{TRAIN}.ann_file: list.txt has no names'),
    ],
)
def test_lists(mattes, content, message):
    (mattes / 'list.txt').write_bytes(content)
    settings = {f'{TRAIN}.ann_file': 'list.txt'}
    if message is None:
        assert [kind for kind, _ in lines_of(mattes, settings)] == ['right', 'right']
    else:
        assert refuse(mattes, settings).startswith(message)


def test_settings_that_the_dataset_refuses(mattes):
    errors = [text for kind, text in lines_of(mattes, {f'{VAL}.suffix': '.png'}) if kind == 'error']
    assert errors[0].startswith(f'{VAL}: cannot be loaded: TypeError')
    text = refuse(mattes, {f'{VAL}.data_prefix': {'fg_path': 'train/fg'}})
    assert text.startswith(f'{VAL}.data_prefix must have fg_path, alpha_path and bg_path, or img_p')
