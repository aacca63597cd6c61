"""Ways of reading images that mmcv does not have."""

import pytest

pytest.importorskip('mmcv')

from mmcv.image import io

from sapa_mm.datasets.checks import loading
from sapa_mm.datasets.checks.loading import find_loading_problems


def problems(**step):
    steps = [{'type': 'LoadImageFromFile', **step}, {'type': 'PackSegInputs'}]
    return [(line.kind, line.text) for line in find_loading_problems({'pipeline': steps}, 'train')]


@pytest.mark.parametrize('backend', ['cv2', 'pillow', None])
def test_known(backend):
    assert problems(imdecode_backend=backend, color_type='color_ignore_orientation') == []
    assert problems() == []


@pytest.mark.parametrize(
    ('option', 'value', 'text'),
    [
        ('imdecode_backend', 'opencv', "must be one of cv2, turbojpeg, pillow, tifffile, got 'ope"),
        ('color_type', 'rgb', 'must be one of color, grayscale, unchanged, '),
        ('imdecode_backend', 'tifffile', 'is tifffile, which is not installed'),
        ('imdecode_backend', 'turbojpeg', 'is turbojpeg, which needs mmcv.use_backend('),
    ],
)
def test_unknown_or_not_installed(monkeypatch, option, value, text):
    monkeypatch.setattr(loading.importlib.util, 'find_spec', lambda name: None)
    monkeypatch.setattr(io, 'jpeg', None)
    ((kind, line),) = problems(**{option: value})
    assert kind == 'error'
    assert line.startswith(f'train.pipeline.0.{option} {text}')
