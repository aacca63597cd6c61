"""Figures of models of both libraries as files, and requests that are refused."""

import re
from pathlib import Path
from unittest import mock

import numpy as np
import pytest

pytest.importorskip('mmseg')

import torch
from PIL import Image

from sapa_mm.engine.config import build_model, read_config
from sapa_mm.visualization.figures import draw, make_gallery
from sapa_mm.visualization.input_image import open_image
from sapa_mm.visualization.models import load_models, read_configs
from sapa_mm.visualization.predictions_figure import compare_predictions, prediction_panels
from sapa_mm.visualization.visualize import visualize

from ..support.configs import (
    DEPTHFORMER,
    FASTER_RCNN,
    MASK_RCNN,
    PANOPTIC_FPN,
    SEGFORMER,
    UPERNET,
    model_files,
)
from ..support.tool_configs import MATTING, write_config, write_mattes, write_nyu

_UPSAMPLERS = {
    PANOPTIC_FPN: ['upsamplers.2', 'upsamplers.1', 'upsamplers.0'],
    MASK_RCNN: [f'upsample_modules.{level}' for level in (3, 2, 1, 0)],
    FASTER_RCNN: [f'upsample_modules.{level}' for level in (3, 2, 1, 0)],
}


@pytest.fixture(scope='module')
def models(tmp_path_factory):
    folder = tmp_path_factory.mktemp('models')
    return [model_files(folder, *model) for model in ((SEGFORMER, 'sapa-b'), (UPERNET, 'sapa-d'))]


@pytest.fixture
def photo(scenes, tmp_path):
    """An image and an annotation map that belong to no dataset."""
    name = sorted((scenes / 'images/validation').iterdir())[0].stem
    paths = [tmp_path / 'photo.jpg', tmp_path / 'truth.png']
    for path, folder in zip(paths, ('images', 'annotations'), strict=True):
        path.write_bytes((scenes / folder / 'validation' / (name + path.suffix)).read_bytes())
    return tuple(map(str, paths))


@pytest.mark.parametrize(
    ('suffix', 'magic'),
    [
        ('.png', b'\x89PNG'),
        pytest.param('.pdf', b'%PDF', marks=pytest.mark.extended),
    ],
)
def test_a_photograph_with_its_truth(models, photo, tmp_path, suffix, magic):
    out = tmp_path / 'new' / f'figure{suffix}'
    visualize('predictions', models, str(out), *photo)
    assert out.read_bytes().startswith(magic)
    assert [path.name for path in out.parent.iterdir()] == [out.name]


def test_a_checkpoint_is_read_once(models, photo, tmp_path, monkeypatch):
    load = mock.Mock(wraps=torch.load)
    monkeypatch.setattr(torch, 'load', load)
    visualize('predictions', models, str(tmp_path / 'out.png'), photo[0])
    assert load.call_count == len(models)


def test_photograph_and_sample_are_the_same(models, photo, options):
    (cfg,) = read_configs(models[:1], options)
    one, other = open_image(cfg, *photo), open_image(cfg, sample=0)
    assert np.array_equal(one.pixels, other.pixels)
    assert one.truth.gt_sem_seg.data.equal(other.truth.gt_sem_seg.data)
    # reduce_zero_label: 0 is no label, classes begin at 1.
    stored = np.asarray(Image.open(photo[1])).astype(int)
    expected = np.where(stored == 0, 255, stored - 1)
    assert np.array_equal(one.truth.gt_sem_seg.data[0].numpy(), expected)


def test_samples_of_wrappers(models, options):
    """Wrappers take no pipeline."""
    (cfg,) = read_configs(models[:1], options)
    expected = open_image(cfg, sample=1)
    both = {'type': 'ConcatDataset', 'datasets': [cfg.val_dataloader.dataset] * 2}
    cfg.val_dataloader.dataset = {'type': 'RepeatDataset', 'times': 1, 'dataset': both}
    image = open_image(cfg, sample=3)
    assert image.path == expected.path
    assert image.truth.gt_sem_seg.data.equal(expected.truth.gt_sem_seg.data)
    with pytest.raises(ValueError, match=r'sample must be in 0\.\.3'):
        open_image(cfg, sample=4)


def test_gallery(models, options, tmp_path):
    out = tmp_path / 'gallery.html'
    visualize('gallery', models, str(out), sample=1, cfg_options=options)
    page = out.read_text()
    assert re.findall('<h2 id="(.*?)"', page) == [
        'predictions', 'upsamplers', 'features', 'kernel', 'points',
    ]  # fmt: skip
    sources = re.findall('src="(.{22})', page)
    assert sources == ['data:image/png;base64,'] * 6
    assert 'http' not in page.replace('data:image', '')
    assert models[0][0] in page


@pytest.mark.parametrize('suffix', ['html', 'svg'])
def test_markup_in_names(models, photo, tmp_path, suffix):
    """Of classes, an image and configs: tags, formulas, control characters, no text at all."""
    config, checkpoint = models[0]
    content = torch.load(checkpoint)
    hostile = ['<script>a</script>', '$\\frac{$', '\x1b[2J', '_a_', '\ud800', '[/b]', '`|`\n#']
    classes = (hostile + list('abcdefghijk'))[:11]
    content['meta'] = {'dataset_meta': {'classes': classes}}
    torch.save(content, tmp_path / 'hostile.pth')
    named = tmp_path / '<script>$\\frac{$\udcff.py'
    dataset = f'dict(dataset=dict(metainfo=dict(classes={classes!a})))'
    text = ''.join(f'{split}_dataloader = {dataset}\n' for split in ('train', 'val', 'test'))
    named.write_text(f'_base_ = {str(config)!r}\n{text}')
    image = tmp_path / '<script>b<\udcff.png'
    with Image.open(photo[0]) as opened:
        opened.save(image)
    out = tmp_path / f'out.{suffix}'
    figure, count = ('gallery', 1) if suffix == 'html' else ('predictions', 2)
    files = [(str(named), str(tmp_path / 'hostile.pth'))] * count
    visualize(figure, files, str(out), image=str(image))
    page = out.read_text('utf-8')
    assert '<script' not in page
    if suffix == 'html':
        assert '&lt;script&gt;b&lt;\\udcff.png' in page
        assert '&lt;script&gt;$\\frac{$\\udcff' in page


@pytest.mark.parametrize(
    ('config', 'padded'),
    [
        (PANOPTIC_FPN, (128, 160)),
        pytest.param(MASK_RCNN, (128, 192), marks=pytest.mark.extended),
        (FASTER_RCNN, (128, 192)),
    ],
)
def test_detectors(config, padded, options, tmp_path):
    pytest.importorskip('mmdet')
    files = [model_files(tmp_path, config, 'sapa-d')]
    image = open_image(read_configs(files, options)[0], sample=0)
    runs = [model.run(image) for model in load_models(files, options)]
    # 70 x 90 is enlarged to 124 x 160, and padded.
    assert runs[0].extent == (70 * padded[0] / 124, 90 * padded[1] / 160)
    panels = dict(prediction_panels(image, runs))
    assert panels['ground truth'].shape == panels['SAPA-D'].shape == (280, 360, 3)
    assert not np.array_equal(panels['ground truth'], panels['SAPA-D'])
    assert len(np.unique(compare_predictions(image, runs).cases)) > 1
    names = [call.name for call in runs[0].upsampler_calls()]
    assert names == [f'neck.{name}' for name in _UPSAMPLERS[config]]


@pytest.fixture
def depth(tmp_path):
    """A room, and models of depth that predict it in the way they are told."""
    write_nyu(tmp_path / 'rooms', count=2)
    files = [
        model_files(tmp_path, DEPTHFORMER, upsampler, seed)
        for seed, upsampler in enumerate(('sapa-b', 'sapa-d'))
    ]
    options = {'val_dataloader.dataset.data_root': str(tmp_path / 'rooms')}
    image = open_image(read_configs(files, options)[0], sample=1)

    def run(mode):
        options['model.test_cfg.mode'] = mode
        return [model.run(image) for model in load_models(files, options)]

    return image, run


def test_depth_models(depth):
    image, run = depth
    runs, flipped = run('whole'), run('whole_flip')
    for one, other in zip(runs, flipped, strict=True):
        calls = one.upsampler_calls()
        assert [call.name[-1] for call in calls] == list('0123')
        # Of the image, not of its mirror.
        assert calls[-1].output.equal(other.upsampler_calls()[-1].output)
        assert not torch.equal(
            one.prediction.pred_depth_map.data, other.prediction.pred_depth_map.data
        )
    panels = dict(prediction_panels(image, runs))
    assert list(panels) == ['image', 'ground truth', 'SAPA-B', 'SAPA-D']
    assert compare_predictions(image, runs).title == 'who is nearest to the truth'
    title = draw('kernel', image, runs[:1]).get_suptitle()
    assert title.endswith(f'pixel {runs[0].position}')


@pytest.mark.extended
def test_gallery_of_depth(depth):
    image, run = depth
    page = make_gallery(image, [], run('whole'))
    found = re.findall('<h2 id="(.*?)"', page)
    assert found == ['predictions', 'upsamplers', 'features', 'kernel', 'points']


def test_depth_of_a_photograph(photo, tmp_path):
    files = [model_files(tmp_path, DEPTHFORMER, 'fade')]
    visualize('predictions', files, str(tmp_path / 'photo.png'), photo[0])
    # The image and the depth map.
    assert Image.open(tmp_path / 'photo.png').size[0] == 2 * 374


@pytest.fixture
def matting(tmp_path):
    """Makes models of mattes of random weights, and the names of the first image's files."""
    root = tmp_path / 'mattes'
    write_mattes(root, count=2)
    files = {name: str(root / f'test/{name}/0.png') for name in ('merged', 'trimaps', 'alpha')}

    def make(*settings_of_models):
        made = []
        for seed, settings in enumerate(settings_of_models):
            text = MATTING.replace("upsample_cfg=dict(type='carafe')", settings)
            path = write_config(tmp_path / f'{seed}.py', text, root)
            cfg = read_config(str(path))
            torch.manual_seed(seed)
            weights = build_model(cfg).state_dict()
            torch.save({'state_dict': weights}, tmp_path / f'{seed}.pth')
            made.append((str(path), str(tmp_path / f'{seed}.pth')))
        return made, files

    return make


def test_matting_models(matting, tmp_path):
    models, files = matting("upsample_cfg=dict(type='sapa_b')", "upsample_cfg=dict(type='sapa_d')")
    (cfg, _) = read_configs(models)
    image = open_image(cfg, sample=0)
    assert (image.path, image.trimap) == (files['merged'], files['trimaps'])
    runs = [model.run(image) for model in load_models(models)]
    assert [call.name for call in runs[0].upsampler_calls()] == [
        f'decoder_layer{step}.up' for step in (4, 3, 2, 1)
    ]
    panels = dict(prediction_panels(image, runs))
    assert list(panels) == ['image', 'trimap', 'ground truth', 'SAPA-B', 'SAPA-D']
    for name, kind in (('trimap', 'trimaps'), ('ground truth', 'alpha')):
        assert np.array_equal(panels[name][..., 0], np.asarray(Image.open(files[kind])))
    # Of an image and its trimap that are no sample of a dataset.
    given = open_image(cfg, files['merged'], files['alpha'], trimap=files['trimaps'])
    again = prediction_panels(given, [model.run(given) for model in load_models(models)])
    assert all(np.array_equal(panels[name], picture) for name, picture in again)
    assert compare_predictions(image, runs).names[:2] == ['known', 'about equal']
    page = make_gallery(image, [], runs)
    found = re.findall('<h2 id="(.*?)"', page)
    assert found == ['predictions', 'upsamplers', 'features', 'kernel', 'points']


def test_features_of_padded_images(matting, tmp_path):
    """A matting model pads images of any size to multiples of 16."""
    models, files = matting("upsample_cfg=dict(type='sapa_b')")
    for kind in ('merged', 'trimaps'):
        Image.open(files[kind]).crop((0, 0, 40, 50)).save(files[kind])
    image = open_image(read_configs(models)[0], files['merged'], trimap=files['trimaps'])
    (run,) = [model.run(image) for model in load_models(models)]
    assert run.extent == (64, 48)
    assert run.calls[-1].output.shape[2:] == (64, 48)


def test_of_tiles_predictions_only(matting, tmp_path):
    models, files = matting("max_pixels=576**2, upsample_cfg=dict(type='sapa_b')")
    for kind in ('merged', 'trimaps'):
        Image.open(files[kind]).resize((600, 560), Image.Resampling.NEAREST).save(files[kind])
    args = str(tmp_path / 'a.png'), files['merged']
    message = r'predicts window by window; model\.max_pixels=336000 in `cfg_options`'
    with pytest.raises(ValueError, match=message):
        visualize('features', models, *args, trimap=files['trimaps'])
    visualize('predictions', models, *args, trimap=files['trimaps'])


def test_trimaps_go_with_matting_models(matting, models, photo, tmp_path):
    (model,), files = matting("upsample_cfg=dict(type='sapa_b')")
    out = str(tmp_path / 'out.png')

    def complain(error, *args, **options):
        with pytest.raises(ValueError, match=error):
            visualize('predictions', *args, **options)
        assert not Path(out).exists()

    complain('trimap: A2UMatting needs the trimap of `image`', [model], out, files['merged'])
    complain('`trimap` goes with `image`', [model], out, sample=0, trimap=files['trimaps'])
    complain(
        'trimap: EncoderDecoder takes none', models[:1], out, photo[0], trimap=files['trimaps']
    )
    complain('all models must be of one library', [model, models[0]], out, sample=0)
    Image.new('L', (60, 64)).save(files['trimaps'])
    complain(
        'has 64 x 60 pixels, its image has 64 x 64',
        [model], out, files['merged'], trimap=files['trimaps'],
    )  # fmt: skip


def test_models_of_two_tasks(models, photo, tmp_path):
    files = [models[0], model_files(tmp_path, DEPTHFORMER, 'sapa-b')]
    message = 'all models must be of one task, .* predicts semantic maps; .* predicts depth maps'
    with pytest.raises(ValueError, match=message):
        visualize('predictions', files, str(tmp_path / 'a.png'), photo[0])
    assert not (tmp_path / 'a.png').exists()


def test_a_model_without_our_upsamplers(photo, tmp_path):
    config, checkpoint = model_files(tmp_path, SEGFORMER, 'bilinear')
    stock = tmp_path / 'stock.py'
    stock.write_text(
        f"""
_base_ = '{config}'
model = dict(decode_head=dict(
    _delete_=True, type='SegformerHead', in_channels=[16, 32, 80, 128], in_index=[0, 1, 2, 3],
    channels=64, num_classes=11, norm_cfg=dict(type='BN'), align_corners=False,
    loss_decode=dict(type='CrossEntropyLoss')))
"""
    )
    files, out = [(str(stock), checkpoint)], str(tmp_path / 'out.png')
    visualize('predictions', files, out, photo[0])
    Path(out).unlink()
    with pytest.raises(ValueError, match='stock has no upsampler of sapa_mm to draw'):
        visualize('features', files, out, photo[0])
    assert not Path(out).exists()


def test_of_sliding_windows_predictions_only(models, photo, tmp_path):
    options = {
        'model.test_cfg': dict(mode='slide', crop_size=(64, 64), stride=(32, 32)),
    }
    with pytest.raises(ValueError, match=r'predicts window by window; .*test_cfg\.mode=whole'):
        visualize('features', models[:1], str(tmp_path / 'a.png'), photo[0], cfg_options=options)
    visualize('predictions', models[:1], str(tmp_path / 'a.png'), photo[0], cfg_options=options)
