"""CamVid's own label maps, back in the public layout, are prepared as they were."""

import numpy as np
import pytest

pytest.importorskip('mmengine')

from PIL import Image

from sapa_mm.datasets.camvid import prepare_camvid

from ..support.camvid_data import SPLITS, save
from .layout import SAMPLES

CAMVID = SAMPLES / 'camvid'
pytestmark = [
    pytest.mark.extended,
    pytest.mark.skipif(not CAMVID.is_dir(), reason=f'no camvid in {SAMPLES}'),
]


def test_round_trip(tmp_path):
    count = 0
    for split in SPLITS:
        for path in sorted((CAMVID / 'images' / split).iterdir())[::10]:
            labels = np.array(Image.open(CAMVID / 'annotations' / split / f'{path.stem}.png'))
            name = f'{path.stem}.png'
            save(tmp_path / 'source' / split / name, Image.open(path))
            save(tmp_path / 'source' / f'{split}annot' / name, np.where(labels == 255, 11, labels))
            count += 1
    assert prepare_camvid(str(tmp_path / 'source'), str(tmp_path / 'root')) == 2 * count
    written = list((tmp_path / 'root/annotations').glob('*/*'))
    assert len(written) == count
    for path in written:
        original = CAMVID / path.relative_to(tmp_path / 'root')
        assert np.array_equal(np.array(Image.open(path)), np.array(Image.open(original)))
    for path in (tmp_path / 'root/images').glob('*/*'):
        original = CAMVID / path.relative_to(tmp_path / 'root')
        with Image.open(path) as photograph, Image.open(original) as ours:
            assert photograph.size == ours.size == (480, 360)
            assert photograph.quantization == ours.quantization
            assert photograph.layer == ours.layer  # how colours are sampled
