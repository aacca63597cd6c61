"""The alpha of a photograph, from files and arrays."""

import copy

import cv2
import numpy as np
import pytest
import torch

pytest.importorskip('mmcv')

from mmengine.structures import PixelData

from sapa_mm.matting import A2UMatting, MattingSample, inference_matting


@pytest.fixture(scope='module')
def model():
    torch.manual_seed(0)
    return A2UMatting(dict(type='sapa_b'), base_channels=32, blocks=(1, 1, 1))


def draw(height, width, seed=0):
    generator = np.random.default_rng(seed)
    image = generator.integers(256, size=(height, width, 3), dtype=np.uint8)
    trimap = generator.choice(np.array([0, 102, 255], np.uint8), size=(height, width))
    return image, trimap


def test_alpha_of_arrays_and_files(model, tmp_path):
    image, trimap = draw(40, 30)
    alpha = inference_matting(model, image, trimap)
    assert model.training
    assert alpha.dtype == np.float32
    assert alpha.shape == (40, 30)
    assert (alpha[trimap == 0] == 0).all()
    assert (alpha[trimap == 255] == 1).all()
    assert len(np.unique(alpha[trimap == 102])) > 10

    for name, pixels in (('image.png', image), ('trimap.png', trimap)):
        cv2.imwrite(str(tmp_path / name), pixels)
    files = str(tmp_path / 'image.png'), tmp_path / 'trimap.png'
    assert (inference_matting(model, *files) == alpha).all()


@pytest.mark.parametrize('dtype', [torch.float16, torch.bfloat16])
def test_half_precision(model, dtype):
    image, trimap = draw(40, 30)
    alpha = inference_matting(model, image, trimap)
    half = inference_matting(copy.deepcopy(model).to(dtype), image, trimap)
    assert half.dtype == np.float32
    np.testing.assert_allclose(half, alpha, atol=0.1)


def test_the_networks_input_is_rgb_normalised_and_the_trimap(model):
    """Written out, with 102 as unknown."""
    image, trimap = draw(32, 48)
    mean, std = np.array([123.675, 116.28, 103.53]), np.array([58.395, 57.12, 57.375])
    x = np.dstack([(image[..., ::-1] - mean) / std, np.where(trimap == 102, 128, trimap) / 255])
    model.eval()
    with torch.no_grad():
        expected = model(torch.from_numpy(x.transpose(2, 0, 1)[None]).float())[0, 0].numpy()
    model.train()
    unknown = trimap == 102
    alpha = inference_matting(model, image, trimap)
    np.testing.assert_allclose(alpha[unknown], expected.clip(0, 1)[unknown], atol=1e-4)


def test_no_unknown_pixels(model, monkeypatch):
    lines = []
    monkeypatch.setattr('sapa_mm.matting.inference.log_warning', lines.append)
    image, trimap = draw(32, 32)
    trimap[trimap == 102] = 0
    assert (inference_matting(model, image, trimap) == trimap / 255).all()
    assert ['trimap has no unknown pixels' in line for line in lines] == [True]


def test_bad_input(model):
    image, trimap = draw(32, 32)
    for arrays, message in (
        ((image[..., 0], trimap), r'image must be BGR, uint8 \(H, W, 3\), got uint8 \(32, 32\)'),
        ((image / 255, trimap), 'got float64'),
        ((np.dstack([image, trimap]), trimap), r'got uint8 \(32, 32, 4\)'),
        ((image, trimap[:-1]), r'trimap must be uint8 \(32, 32\), .* got uint8 \(31, 32\)'),
        ((image, image), r'got uint8 \(32, 32, 3\)'),
        ((image[:15], trimap[:15]), 'must have 16 pixels or more a side, got 15 x 32'),
        ((image, trimap // 102), 'trimap has no value above 2, a trimap has 0, 128 and 255'),
    ):
        with pytest.raises(ValueError, match=message):
            inference_matting(model, *arrays)
    with pytest.raises(TypeError, match='trimap must be a file or an array, got Tensor'):
        inference_matting(model, image, torch.from_numpy(trimap))
    with pytest.raises(TypeError, match=r'such as load_trained\(...\).model, got tuple'):
        inference_matting((model, 'config'), image, trimap)


@pytest.mark.parametrize('value', [float('nan'), float('inf'), -float('inf')])
def test_a_model_that_has_diverged(model, monkeypatch, value):
    """NaN and a warning, where a clamp alone would make 0 or 1 of infinite values."""
    lines = []
    monkeypatch.setattr('sapa_mm.matting.inference.log_warning', lines.append)
    monkeypatch.setattr(model, '_network', lambda x: torch.full_like(x[:, :1], value))
    image, trimap = draw(32, 32)
    alpha = inference_matting(model, image, trimap)
    assert (np.isnan(alpha) == (trimap == 102)).all()
    assert ['the alpha has NaN' in line for line in lines] == [True]


@pytest.mark.parametrize(
    ('sample', 'message'),
    [
        (None, 'every image needs a data sample with a trimap'),
        (MattingSample(), 'every image needs a data sample with a trimap'),
        (
            MattingSample(trimap=PixelData(data=torch.zeros(1, 16, 32, dtype=torch.uint8))),
            r'trimap must have the shape \(1, 32, 32\), that of its image, got \(1, 16, 32\)',
        ),
    ],
)
def test_a_batch_without_its_trimaps(model, sample, message):
    data = dict(inputs=[torch.zeros(3, 32, 32)], data_samples=sample and [sample])
    with pytest.raises(ValueError, match=message):
        model.data_preprocessor(data)


def test_images_of_a_batch_have_one_size(model):
    samples = [
        MattingSample(trimap=PixelData(data=torch.zeros(1, side, 32, dtype=torch.uint8)))
        for side in (32, 48)
    ]
    images = [torch.zeros(3, side, 32) for side in (32, 48)]
    with pytest.raises(ValueError, match=r'one size, got \(32, 32\) and \(48, 32\)'):
        model.data_preprocessor(dict(inputs=images, data_samples=samples))
