"""Images of any kind are drawn on as 8-bit RGB."""

import cv2
import numpy as np
import pytest

pytest.importorskip('mmengine')

from PIL import Image

from sapa_mm.engine.images import image_pipeline, read_image, read_picture

PIXELS = np.arange(5 * 7 * 3, dtype=np.uint8).reshape(5, 7, 3)


@pytest.mark.parametrize('read', [read_picture, lambda path: read_image(path, 'image')])
@pytest.mark.parametrize(
    ('name', 'stored', 'expected'),
    [
        ('rgb.png', PIXELS, PIXELS),
        ('alpha.png', np.dstack([PIXELS, PIXELS[..., :1]]), PIXELS),
        ('grey.png', PIXELS[..., 0], PIXELS[..., :1].repeat(3, 2)),
        ('rgb.tif', PIXELS, PIXELS),
        # From the smallest value to the largest.
        ('float.tif', PIXELS.astype(np.float32) / 104 - 3, np.rint(PIXELS * (255 / 104))),
        ('one.tif', PIXELS[..., 0].astype(np.float32), np.rint(PIXELS[..., :1] * (255 / 102))),
    ],
)
def test_kinds(tmp_path, read, name, stored, expected):
    path = str(tmp_path / name)
    order = [2, 1, 0, *range(3, stored.shape[-1])]
    # OpenCV's own compression of floats cuts them off at 0.
    plain = [cv2.IMWRITE_TIFF_COMPRESSION, 1]
    cv2.imwrite(path, stored[..., order] if stored.ndim == 3 else stored, plain)
    image = read(path)
    assert image.dtype == np.uint8
    assert np.array_equal(image, np.broadcast_to(expected, (5, 7, 3)))


def test_many_bands_and_nan(tmp_path):
    tifffile = pytest.importorskip('tifffile')
    stored = np.dstack([PIXELS, PIXELS]).astype(np.float32)
    stored[0, 0, 0] = np.nan
    tifffile.imwrite(tmp_path / 'six.tif', stored, photometric='minisblack', planarconfig='contig')
    image = read_image(str(tmp_path / 'six.tif'), 'image')
    expected = np.rint((PIXELS - 1.0) * (255 / 103)).clip(0)
    assert np.array_equal(image, expected)


def test_no_images(tmp_path):
    for name in ('text.jpg', 'text.tif'):
        (tmp_path / name).write_text('no image')
        path = str(tmp_path / name)
        for read in (read_picture, read_image):
            with pytest.raises(ValueError, match=rf'^photo: .*{name} cannot be read as an image: '):
                read(path, 'photo')
    with pytest.raises(ValueError, match=r'gone.tif cannot be read as an image: '):
        read_picture(str(tmp_path / 'gone.tif'))
    Image.effect_noise((64, 64), 50).save(tmp_path / 'whole.png')
    (tmp_path / 'half.png').write_bytes((tmp_path / 'whole.png').read_bytes()[:2000])
    with pytest.raises(ValueError, match='photo: .*half.png cannot be read as an image: '):
        read_image(str(tmp_path / 'half.png'), 'photo')


def test_the_pipeline_without_labels():
    scale = {'type': 'Resize', 'scale': (8, 4)}
    labels = {'type': 'LoadDepthAnnotation'}
    config = {'test_dataloader': {'dataset': {'pipeline': [scale, labels, {'type': 'Pack'}]}}}
    assert image_pipeline(config) == [scale, {'type': 'Pack'}]
