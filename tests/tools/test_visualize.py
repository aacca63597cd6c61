"""tools/visualize.py as users start it, and its messages about wrong input."""

import os

import numpy as np
import pytest

pytest.importorskip('mmseg')

from PIL import Image

from sapa_mm.datasets import write_scenes

from ..support.configs import DEPTHFORMER, PANOPTIC_FPN, SEGFORMER, model_files
from ..support.run_tool import call_tool, run_tool


@pytest.fixture
def files(tmp_path):
    """A model, a photograph, and the folder where the figure goes."""
    model = ('--model', *model_files(tmp_path, SEGFORMER, 'sapa-b'))
    pixels = np.random.default_rng(0).integers(0, 256, (70, 90, 3), np.uint8)
    Image.fromarray(pixels).save(tmp_path / 'photo.jpg')
    return model, ('--image', tmp_path / 'photo.jpg'), ('--out', tmp_path / 'out' / 'figure.png')


def test_a_figure(files):
    model, image, out = files
    run_tool('visualize', 'kernel', *model, *image, *out, '--position', 30, 40, '--upsampler', 2)
    assert Image.open(out[1]).size == (1650, 616)
    assert [path.name for path in out[1].parent.iterdir()] == ['figure.png']


@pytest.fixture
def complaint(error_of, files):
    """The tool's error message, after checking that it leaves no file behind."""

    def run(figure, *args, model=None, image=None, out=None):
        given = (model or files[0], image or files[1], out or files[2])
        line = error_of('visualize', figure, *(part for one in given for part in one), *args)
        assert not files[2][1].parent.exists()
        return line

    return run


def test_arguments_that_make_no_sense(complaint, files):
    assert complaint('features', out=('--out', 'figure.jpg')) == (
        'error: --out: features is written as .png or .pdf or .svg, got figure.jpg'
    )
    assert 'gallery is written as .html' in complaint('gallery')
    assert '--upsampler does not apply to features' in complaint('features', '--upsampler', 1)
    assert '--model: points is a figure of one model, got 2' in complaint('points', *files[0])
    assert 'give one of --image and --sample' in complaint('features', '--sample', 0)
    error = complaint('features', image=('--truth', 'truth.png'))
    assert 'give one of --image and --sample' in error
    error = complaint('features', '--sample', 0, image=('--truth', 'truth.png'))
    assert '--truth goes with --image' in error


@pytest.mark.parametrize(
    ('content', 'message'),
    [
        (None, '--image: photo.jpg is not a file'),
        (b'', '--image: photo.jpg is empty'),
        (b'a text', '--image: photo.jpg cannot be read as an image: cannot identify'),
        (2000, '--image: photo.jpg cannot be read as an image: image file is truncated'),
    ],
)
def test_wrong_images(complaint, files, content, message):
    if isinstance(content, int):
        content = files[1][1].read_bytes()[:content]
    files[1][1].unlink()
    if content is not None:
        files[1][1].write_bytes(content)
    assert message in complaint('features').replace(f'{files[1][1].parent}/', '')


def test_a_truth_of_another_size(complaint, tmp_path):
    Image.fromarray(np.ones((90, 70), np.uint8)).save(tmp_path / 'truth.png')
    error = complaint('predictions', '--truth', tmp_path / 'truth.png')
    assert 'truth.png has 90 x 70 pixels, its image has 70 x 90 (height x width)' in error


def test_a_depth_map_as_truth(files, complaint, tmp_path):
    model = ('--model', *model_files(tmp_path, DEPTHFORMER, 'sapa-d'))
    truth = ('--truth', tmp_path / 'depth.png')
    out = tmp_path / 'depth_figure.png'
    Image.fromarray(np.full((70, 90), 2500, np.uint16)).save(truth[1])
    assert not call_tool('visualize', 'predictions', *model, *files[1], *truth, '--out', out)
    # The image, the truth, the prediction, its error.
    assert Image.open(out).size[0] == 4 * 374
    Image.fromarray(np.full((64, 90), 2500, np.uint16)).save(truth[1])
    error = complaint('predictions', *truth, model=model)
    assert 'depth.png has 64 x 90 pixels, its image has 70 x 90 (height x width)' in error


def test_a_truth_of_a_detector(complaint, files, tmp_path):
    pytest.importorskip('mmdet')
    model = ('--model', *model_files(tmp_path, PANOPTIC_FPN, 'nearest'))
    error = complaint('predictions', '--truth', files[1][1], model=model)
    assert (
        '--truth needs a dataset in val_dataloader whose data_prefix has seg_map_path or' in error
    )
    assert 'or alpha_path; the boxes and segments of a detector are in its dataset: use' in error


def test_positions_and_upsamplers_that_are_not_there(complaint):
    error = complaint('kernel', '--position', 70, 0)
    assert '--position must be in the image, rows 0..69 and columns 0..89, got 70 0' in error
    assert '--upsampler must be in 0..5: SAPA-B calls 6' in complaint('kernel', '--upsampler', 6)
    assert '--channels must be in 0..63, got -1' in complaint('features', '--channels', 0, -1)


def test_samples_that_are_not_there(complaint, tmp_path):
    error = complaint('features', image=('--sample', 0))
    assert 'val_dataloader.dataset.data_prefix.img_path: no folder' in error
    write_scenes(tmp_path / 'scenes', num_train=1, num_val=2, size=(64, 64))
    root = ('--data-root', tmp_path / 'scenes')
    for number in (2, -1):
        error = complaint('features', *root, image=('--sample', number))
        assert f'--sample must be in 0..1: the validation set has 2 images, got {number}' in error


def test_wrong_checkpoints(complaint, files, tmp_path):
    _, config, checkpoint = files[0]
    assert 'no.pth does not exist' in complaint('features', model=('--model', config, 'no.pth'))
    other = config.replace('sapa-b', 'fade')
    error = complaint('features', model=('--model', other, checkpoint))
    assert 'does not fit the model in' in error
    (tmp_path / 'weights.safetensors').write_bytes(b'{}')
    error = complaint('features', model=('--model', config, tmp_path / 'weights.safetensors'))
    assert 'is damaged, or not a safetensors file' in error
    os.truncate(checkpoint, 1000)
    assert 'is truncated' in complaint('features')


def test_an_image_that_is_too_small(complaint, files):
    Image.fromarray(np.zeros((1, 3, 3), np.uint8)).save(files[1][1])
    options = ('--cfg-options', 'test_dataloader.dataset.pipeline.1.size_divisor=1')
    error = complaint('features', *options)
    assert 'error: SAPA-B cannot run on this image of 1 x 3 pixels: ' in error


def test_models_of_two_libraries(complaint, files, tmp_path):
    pytest.importorskip('mmdet')
    other = model_files(tmp_path, PANOPTIC_FPN, 'nearest')
    error = complaint('predictions', '--model', *other)
    assert 'all models must be of one library' in error


def test_an_upsampler_without_kernels(complaint, tmp_path):
    model = ('--model', *model_files(tmp_path, SEGFORMER, 'deconv'))
    error = complaint('kernel', model=model)
    assert 'decode_head.upsamplers.5 is a Deconv, which has no kernel over a window; ' in error
    assert 'those that have: A2U, Carafe, Fade, IndexNet, SapaB, SapaI' in error
