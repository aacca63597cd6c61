"""Mattes and trimaps are looked at as the loading steps of a config read them."""

import numpy as np
import pytest
from PIL import Image

from sapa_mm.datasets.checks import check_data
from sapa_mm.engine.config import in_scope
from sapa_mm.matting import trimap as trimaps

from ...support.matte_checks import TRAIN, VAL, lines_of, notes, read, refuse, rewrite
from ...support.tool_configs import write_mattes


def test_right_data(mattes):
    train, val = lines_of(mattes)
    assert train[0] == val[0] == 'right'
    start = '4 images, 4 of them opened, with their annotations:'
    assert train[1].startswith(f'{TRAIN}: {start}')
    assert train[1].endswith('% of the pixels are soft edges')
    assert val[1].startswith(f'{VAL}: {start}')
    assert val[1].endswith('% of the pixels are unknown')
    cfg = read(mattes)
    with in_scope(cfg):
        check_data(cfg, ['train', 'val'])


def to_colours(gray):
    return np.stack([gray, gray, 255 - gray], axis=-1)


def to_cut_out(image):
    return np.dstack([image, image[..., 0]])


def to_102(trimap):
    return np.where(trimap == 128, 102, trimap).astype(np.uint8)


def as_jpeg(trimap):
    return (trimap * 0.98 + 3).astype(np.uint8)


def invert(trimap):
    return np.where(trimap == 128, trimap, 255 - trimap)


@pytest.mark.parametrize(
    ('folder', 'change', 'message'),
    [
        ('train/alpha', to_colours, f'{TRAIN}: train/alpha/0.png must be grey, got colours'),
        ('train/alpha', lambda alpha: alpha[:40], 'train/alpha/0.png must have the size of train/'
         'fg/0.png'),
        ('train/alpha', lambda alpha: alpha // 255, 'train/alpha/0.png has no value above 1, '
         'alpha goes from 0 to 255'),
        ('train/alpha', lambda alpha: alpha * np.uint16(257), 'must have 8 bits a channel'),
        ('test/merged', to_cut_out, f'{VAL}: test/merged/0.png must be opaque'),
        ('test/merged', lambda image: image[:, :20], 'test/trimaps/0.png must have the size of'),
        ('test/trimaps', to_colours, f'{VAL}: test/trimaps/0.png must be grey, got colours'),
        ('test/trimaps', lambda trimap: trimap // 127, 'test/trimaps/0.png has no value above 2, '
         'a trimap has 0, 128 and 255'),
        ('test/trimaps', invert, f'{VAL}: the 4 trimaps opened contradict '
         'the alpha where they are known: are they of other images? (such as test/trimaps/0.png)'),
    ],
)  # fmt: skip
def test_wrong_files(mattes, folder, change, message):
    rewrite(mattes, folder, change)
    assert message in refuse(mattes)


def test_images_that_are_too_small(mattes):
    for folder in ('merged', 'trimaps', 'alpha'):
        rewrite(mattes, f'test/{folder}', lambda image: image[16:28])
    text = f'{VAL}: test/merged/0.png is 64x12 (width x height), models take 16 or more'
    assert refuse(mattes) == text


@pytest.mark.parametrize(
    ('folder', 'change', 'count', 'message'),
    [
        ('test/trimaps', to_102, 4,
         'trimaps have the values 102 beside 0, 128 and 255 (such as test/trimaps/0.png); they '
         'count as unknown'),
        ('test/trimaps', lambda trimap: np.where(trimap == 128, 0, trimap).astype(np.uint8), 1,
         '1 of the 4 trimaps opened have no unknown pixel: nothing is predicted, all metrics are '
         '0 (such as test/trimaps/0.png)'),
        ('test/trimaps', lambda trimap: np.full_like(trimap, 128), 1, '1 of the 4 trimaps opened '
         'have no known pixel: nothing tells what the foreground is (such as test/trimaps/0.png)'),
        ('test/trimaps', invert, 1, '1 of the 4 trimaps opened contradict the alpha where they are '
         'known: are they of other images? (such as test/trimaps/0.png)'),
        ('test/alpha', lambda alpha: alpha // 255 * 255, 4, 'the 4 mattes opened have no alpha '
         'between 0 and 255: masks teach no soft edges (such as test/alpha/0.png)'),
    ],
)  # fmt: skip
def test_what_may_be_meant(mattes, folder, change, count, message):
    rewrite(mattes, folder, change, count)
    assert notes(mattes) == [f'{VAL}: {message}']


def test_masks_among_mattes(mattes):
    rewrite(mattes, 'test/alpha', lambda alpha: alpha // 255 * 255, count=1)
    assert notes(mattes) == []


@pytest.mark.parametrize(
    ('folder', 'change', 'message'),
    [
        ('train/alpha', lambda alpha: alpha * 0, f'{TRAIN}: the 9 mattes opened show no '),
        ('test/trimaps', lambda trimap: trimap // 255 * 255, f'{VAL}: the 9 trimaps opened have no '
         'unknown pixel'),
    ],
)  # fmt: skip
def test_what_is_no_accident_in_many(tmp_path, folder, change, message):
    write_mattes(tmp_path / 'many', count=9)
    rewrite(tmp_path / 'many', folder, change, count=9)
    lines = lines_of(tmp_path / 'many')
    assert next(text for kind, text in lines if kind == 'error').startswith(message)


def test_trimaps_that_are_nearly_known(mattes):
    """As those that were JPEG files once: all of their pixels count as unknown."""
    rewrite(mattes, 'test/trimaps', as_jpeg)
    share, values = notes(mattes)
    assert share.startswith(f'{VAL}: the 4 trimaps opened have a tenth or more of pixels close to ')
    assert values.startswith(f'{VAL}: trimaps have the values 3, 252 beside 0, 128 and 255')
    assert values.endswith('too: JPEG makes them, save trimaps as PNG')


def test_values_are_named_once(mattes, monkeypatch):
    """By the report; the log names those of other files, and JPEG's together."""
    said = []
    monkeypatch.setattr('sapa_mm.utils.log._log', lambda text, _: said.append(text))
    monkeypatch.setattr(trimaps, 'named_values', set())
    rewrite(mattes, 'test/trimaps', to_102)
    assert len(notes(mattes)) == 1
    assert said == []
    clean = trimaps.clean_trimap(np.array([[0, 102, 129, 255]], np.uint8))
    assert clean.tolist() == [[0, 128, 128, 255]]
    trimaps.clean_trimap(np.array([[0, 102, 129, 4, 101]], np.uint8), 'a.jpg')
    trimaps.clean_trimap(np.array([[0, 5, 100]], np.uint8), 'b.jpg')
    named, close = said
    assert named.startswith('Trimaps have the values 129 beside')
    assert close.startswith('a.jpg has values close to 0 or 255, such as 4')


@pytest.mark.parametrize('folder', ['train/fg', 'train/bg', 'train/alpha', 'test/merged'])
def test_files_that_are_cut_off(mattes, folder):
    for path in (mattes / folder).iterdir():
        path.write_bytes(path.read_bytes()[:-40])
    assert 'cannot be read' in refuse(mattes)


def test_images_that_exif_turns(mattes):
    exif = Image.Exif()
    exif[0x0112] = 6
    for path in (mattes / 'train/fg').iterdir():
        Image.open(path).save(path.with_suffix('.jpg'), exif=exif)
        path.unlink()
    assert notes(mattes) == [
        f'{TRAIN}: 4 images are turned by their EXIF orientation when they are read (such as '
        'train/fg/0.jpg); their mattes must fit the upright ones'
    ]


def test_foregrounds_below_the_crop(mattes):
    (note,) = notes(mattes, {f'{TRAIN}.pipeline.4.crop_size': 96})
    assert note == (
        f'{TRAIN}: 4 of 4 foregrounds opened are not larger than crop_size=96 (such as '
        'train/fg/0.png); they are enlarged'
    )


def test_data_without_truth(mattes):
    """Images and trimaps alone are enough to predict."""
    prefix = {'img_path': 'test/merged', 'trimap_path': 'test/trimaps'}
    cfg = read(mattes)
    cfg.val_dataloader.dataset.data_prefix = prefix
    cfg.val_dataloader.dataset.pipeline.pop(2)
    cfg.val_evaluator = {'type': 'DumpResults', 'out_file_path': str(mattes / 'out.pkl')}
    with in_scope(cfg):
        check_data(cfg, ['val'])
