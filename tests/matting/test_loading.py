"""Images, trimaps and mattes as files: what is read, what is refused."""

import numpy as np
import pytest
from PIL import Image

pytest.importorskip('mmcv')

from sapa_mm.matting import LoadAlphaAnnotations, LoadFgAndBg, LoadMattingImage, LoadTrimap
from sapa_mm.matting.matting_files import read_colors, read_gray, read_photograph

RNG = np.random.default_rng(0)
COLORS = RNG.integers(0, 256, (5, 7, 3), np.uint8)
GRAY = COLORS[..., 0]
OPAQUE = np.full((5, 7, 1), 255, np.uint8)
HALF = OPAQUE // 2


def write(path, *channels):
    Image.fromarray(np.dstack(channels).squeeze()).save(path)
    return str(path)


@pytest.mark.parametrize(
    'channels', [(GRAY,), (GRAY, GRAY, GRAY), (GRAY, GRAY, GRAY, OPAQUE), (GRAY, OPAQUE)]
)
def test_gray_images_of_any_channels(tmp_path, channels):
    gray = read_gray(write(tmp_path / 'a.png', *channels))
    assert gray.dtype == np.uint8
    assert (gray == GRAY).all()


def test_what_is_read_otherwise_is_said_once(tmp_path, monkeypatch):
    lines = []
    monkeypatch.setattr('sapa_mm.matting.matting_files.log_info', lines.append)
    monkeypatch.setattr('sapa_mm.matting.matting_files._said', set())
    for name in ('a.png', 'b.png'):
        read_gray(write(tmp_path / name, GRAY, GRAY, GRAY))
        read_photograph(write(tmp_path / name, COLORS, OPAQUE))
    assert len(lines) == 2
    assert 'several channels, all grey, are read as one' in lines[0]
    assert 'alpha channel of opaque images is left out' in lines[1]


@pytest.mark.parametrize(
    ('image', 'message'),
    [
        (COLORS, 'must be grey, got colours'),
        (np.dstack([GRAY, GRAY, GRAY, HALF]), 'must be grey and opaque, got transparent pixels'),
        (GRAY.astype(np.uint16), 'must have 8 bits a channel, got uint16'),
    ],
)
def test_what_is_no_gray_image(tmp_path, image, message):
    Image.fromarray(image).save(tmp_path / 'a.png')
    with pytest.raises(ValueError, match=f'a.png {message}'):
        read_gray(str(tmp_path / 'a.png'))


@pytest.mark.parametrize('orientation', [3, 6])
@pytest.mark.parametrize('ending', ['png', 'jpg', 'webp', 'tif'])
def test_exif_turns_images_and_maps_alike(tmp_path, ending, orientation):
    path = str(tmp_path / f'a.{ending}')
    exif = Image.Exif()
    exif[0x0112] = orientation
    quality = {'lossless': True} if ending == 'webp' else {}
    Image.fromarray(np.dstack([GRAY] * 3)).save(path, exif=exif, **quality)
    assert (read_gray(path) == read_photograph(path)[..., 0]).all()
    if ending != 'webp':  # OpenCV turns it since version 5
        assert read_gray(path).shape == ((7, 5) if orientation == 6 else (5, 7))


@pytest.mark.parametrize('read', [read_gray, read_colors, read_photograph])
def test_what_is_no_image(tmp_path, read):
    (tmp_path / 'a.png').write_text('text')
    for name, message in (('a.png', 'cannot be read as an image'), ('b.png', 'cannot be read: ')):
        with pytest.raises(ValueError, match=f'{name} {message}') as error:
            read(str(tmp_path / name))
        assert '\n' not in str(error.value)


def test_photographs(tmp_path):
    bgr = COLORS[..., ::-1]
    for channels in ((COLORS,), (COLORS, OPAQUE)):
        image = LoadMattingImage()(dict(img_path=write(tmp_path / 'a.png', *channels)))
        assert (image['img'] == bgr).all()
        assert image['img_shape'] == image['ori_shape'] == (5, 7)
    path = write(tmp_path / 'a.png', COLORS, HALF)
    with pytest.raises(ValueError, match='a.png must be opaque, got transparent pixels'):
        read_photograph(path)
    assert (read_colors(path) == bgr).all()


def test_trimaps_have_three_values(tmp_path):
    stored = np.tile(np.array([0, 1, 102, 128, 254, 255, 0], np.uint8), (5, 1))
    path = write(tmp_path / 'trimap.png', stored, stored, stored)
    results = dict(img=COLORS, img_path='a.png', trimap_path=path)
    assert LoadTrimap()(results)['trimap'][2].tolist() == [0, 128, 128, 128, 128, 255, 0]


@pytest.mark.parametrize('load', [LoadTrimap, LoadAlphaAnnotations])
def test_maps_of_another_size(tmp_path, load):
    path = write(tmp_path / 'map.png', GRAY)
    results = dict(img=COLORS[:4], img_path='a.png', trimap_path=path, alpha_path=path)
    message = r'map.png must have the size of a.png, \(4, 7\) \(height, width\), got \(5, 7\)'
    with pytest.raises(ValueError, match=message):
        load()(results)


def test_layers(tmp_path):
    paths = dict(
        fg_path=write(tmp_path / 'fg.png', COLORS, HALF),
        alpha_path=write(tmp_path / 'alpha.png', GRAY),
        bg_path=write(tmp_path / 'bg.png', GRAY),
    )
    results = LoadFgAndBg()(dict(paths))
    assert (results['fg'] == COLORS[..., ::-1]).all()
    assert (results['alpha'] == GRAY).all()
    assert (results['bg'] == GRAY[..., None]).all()
    assert results['ori_shape'] == (5, 7)
    paths['alpha_path'] = write(tmp_path / 'alpha.png', GRAY[:3])
    with pytest.raises(ValueError, match=r'alpha.png must have the size of .*fg.png, \(5, 7\)'):
        LoadFgAndBg()(paths)
