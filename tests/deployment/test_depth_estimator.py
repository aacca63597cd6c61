"""Depth estimators exported to files."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch

pytest.importorskip('mmseg')
pytest.importorskip('onnxruntime')
pytest.importorskip('onnxscript')

from mmengine.dataset import Compose
from mmengine.registry import MODELS
from PIL import Image

from sapa_mm.datasets import generate_room
from sapa_mm.deployment.depth_estimator import DepthEstimator
from sapa_mm.deployment.export_model import export_model
from sapa_mm.deployment.exported_model import Difference
from sapa_mm.deployment.formats import FORMATS
from sapa_mm.deployment.kinds import wrap
from sapa_mm.deployment.trace import trace
from sapa_mm.engine.config import in_scope, read_config
from sapa_mm.engine.images import image_pipeline
from sapa_mm.engine.trained_model import load_trained

from ..support.configs import CONFIGS, names_in

TOOLS = str(Path(__file__).parents[2] / 'tools')
# Two levels and one head: with more of them the graph is longer, not another.
SHORT = {
    'model.backbone.depths': (1, 2),
    'model.backbone.num_heads': (1, 2),
    'model.backbone.strides': (4, 2),
    'model.backbone.out_indices': (0, 1),
    'model.neck.in_channels': [32, 32, 64],
    'model.neck.num_heads': 1,
    'model.decode_head.in_channels': [32, 32, 64],
    'model.test_cfg.mode': 'whole',
}
# mmseg's estimator and Swin, or a ResNet, with our head.
STOCK = dict(
    type='DepthEstimator',
    backbone=dict(
        type='SwinTransformer',
        embed_dims=16,
        depths=(1, 2, 1, 1),
        num_heads=(1, 1, 2, 2),
        _delete_=True,
    ),
    neck=None,
    decode_head=dict(in_channels=[16, 32, 64, 128]),
    test_cfg=dict(mode='whole'),
)
RESNET = dict(
    backbone=dict(
        type='ResNet',
        depth=18,
        base_channels=8,
        num_stages=2,
        out_indices=(0, 1),
        strides=(1, 2),
        dilations=(1, 1),
        norm_cfg=dict(type='BN'),
        _delete_=True,
    ),
    neck=None,
    decode_head=dict(in_channels=[8, 16]),
    test_cfg=dict(mode='whole_flip'),
)


@pytest.fixture(scope='module')
def images(tmp_path_factory):
    folder = tmp_path_factory.mktemp('rooms')
    for index, size in enumerate([(96, 75), (70, 110)]):
        Image.fromarray(generate_room(index, size=size).image).save(folder / f'{index}.png')
    return [str(path) for path in sorted(folder.iterdir())]


def small_model(folder, upsampler, options):
    """Config, checkpoint of random weights and options of a small DepthFormer."""
    names = names_in('depthformer')
    name = next(name for name in names if name.startswith(f'depthformer_swin-mini_{upsampler}_'))
    path = str(CONFIGS / 'depthformer' / f'{name}.py')
    cfg = read_config(path, options)
    torch.manual_seed(0)
    with in_scope(cfg):
        model = MODELS.build(cfg.model)
    torch.save({'state_dict': model.state_dict()}, folder / 'model.pth')
    return path, str(folder / 'model.pth'), options


def export(model, out, images):
    path, checkpoint, options = model
    return export_model(path, checkpoint, str(out), images, options)


@pytest.fixture(scope='module')
def depthformer(tmp_path_factory, images):
    """A small DepthFormer, its ONNX file, and the table of the check."""
    folder = tmp_path_factory.mktemp('depthformer')
    model = small_model(folder, 'sapa-d', SHORT)
    out = folder / 'depth.onnx'
    return model, str(out), export(model, out, images)


def test_the_check_is_in_metres_of_five_sizes(depthformer):
    rows = [
        [cell.strip() for cell in line.strip('|').split('|')] for line in depthformer[2].split('\n')
    ]
    assert rows[0][1:4] == ['largest difference', 'as a share of the depth', 'depth']
    assert [row[0] for row in rows[2:4]] == ['96x75', '70x110']
    assert len(rows) == 7
    assert all(row[1].endswith(' mm') and float(row[1].split()[0]) < 1 for row in rows[2:])


def test_metadata(depthformer):
    import onnxruntime

    session = onnxruntime.InferenceSession(depthformer[1])
    assert session.get_outputs()[0].name == 'depth'
    assert session.get_outputs()[0].shape == [1, 1, 'height', 'width']
    texts = session.get_modelmeta().custom_metadata_map
    about = {name: json.loads(text) for name, text in texts.items() if name != 'sapa_mm'}
    expected = dict(task='depth', unit='m', range=[0.001, 10.0], mode='whole', align_corners=True)
    assert {name: about[name] for name in expected} == expected
    assert about['mean'] == pytest.approx([123.675, 116.28, 103.53])
    assert 'classes' not in about


@torch.no_grad()
def predict(model, path):
    """Predict as mmseg does."""
    config, checkpoint, options = model
    trained = load_trained(config, checkpoint, options)
    with in_scope(trained.cfg):
        sample = Compose(image_pipeline(trained.cfg))(dict(img_path=path))
    data = {key: [value] for key, value in sample.items()}
    return trained.model.test_step(data)[0].pred_depth_map.data[0].numpy()


def check_script(model, out, images, folder):
    """Compare what the script writes with mmseg's depth."""
    from ..support.run_tool import call_tool

    for path in images:
        expected = predict(model, path)
        assert call_tool('onnx_inference', out, path, '--out', folder / 'depth.png') == 0
        written = Image.open(folder / 'depth.png')
        assert written.mode.startswith('I;16')
        assert np.asarray(written).shape == expected.shape
        np.testing.assert_allclose(np.asarray(written) / 1000, expected, rtol=1e-3, atol=6e-4)


def test_the_script_writes_millimetres(depthformer, images, tmp_path, capsys):
    check_script(*depthformer[:2], images, tmp_path)
    lines = capsys.readouterr().out.splitlines()[-3:]
    assert [line.split()[1:] for line in lines] == [
        ['m', name] for name in ('nearest', 'median', 'farthest')
    ]


def test_the_mean_of_an_image_and_its_mirror(images, tmp_path):
    """As NYU's configs test, resized first, with mmseg's corners."""
    resize = dict(type='Resize', scale=(90, 80), keep_ratio=False)
    options = {f'model.{name}': value for name, value in RESNET.items()}
    options['test_dataloader.dataset.pipeline'] = [
        dict(type='LoadImageFromFile'),
        resize,
        dict(type='LoadDepthAnnotation', depth_rescale_factor=1e-3),
        dict(type='PackSegInputs'),
    ]
    model = small_model(tmp_path, 'bilinear', options)
    export(model, tmp_path / 'depth.onnx', images)
    check_script(model, tmp_path / 'depth.onnx', images, tmp_path)
    import onnxruntime

    session = onnxruntime.InferenceSession(tmp_path / 'depth.onnx')
    assert json.loads(session.get_modelmeta().custom_metadata_map['mode']) == 'whole_flip'
    image = np.random.default_rng(0).standard_normal((1, 3, 65, 71), np.float32)
    depth, mirrored = (session.run(None, {'image': i})[0] for i in (image, image[..., ::-1]))
    np.testing.assert_allclose(depth, mirrored[..., ::-1], rtol=1e-4)


@pytest.mark.extended
@pytest.mark.parametrize('suffix', ['.onnx', '.pt2'])
def test_mmsegs_own_estimator_and_backbone(suffix, images, tmp_path):
    options = {f'model.{name}': value for name, value in STOCK.items()}
    model = small_model(tmp_path, 'bilinear', options)
    assert export(model, tmp_path / f'depth{suffix}', images[:1])


@pytest.mark.extended
def test_a_head_for_some_sizes_only(images, tmp_path):
    options = {f'model.{name}': value for name, value in STOCK.items()}
    options['model.decode_head'] = dict(
        type='VPDDepthHead',
        in_channels=[16, 32, 192],
        embed_dim=8,
        feature_dim=64,
        num_deconv_filters=(8, 8, 8),
        _delete_=True,
    )
    model = small_model(tmp_path, 'bilinear', options)
    with pytest.raises(ValueError, match='the model cannot be traced: RuntimeError: Sizes of tens'):
        export(model, tmp_path / 'depth.onnx', images[:1])


@pytest.mark.extended
@pytest.mark.parametrize(
    'upsampler',
    [
        name.split('_')[2]
        for name in names_in('depthformer')
        if name.startswith('depthformer_swin-mini_')
    ],
)
def test_every_upsampler_at_three_sizes(upsampler, tmp_path):
    """In a short model; SAPA-D in the whole one."""
    options = {} if upsampler == 'sapa-d' else SHORT
    config, checkpoint, options = small_model(tmp_path, upsampler, options)
    exported = wrap(load_trained(config, checkpoint, options).model)
    FORMATS['.onnx'].write(trace(exported), {}, str(tmp_path / 'depth.onnx'))
    run = FORMATS['.onnx'].open(str(tmp_path / 'depth.onnx'))
    for size in ((128, 128), (97, 131), (250, 240)):
        image = torch.randn(1, 3, *size)
        with torch.no_grad():
            expected = exported(image).numpy()
        found = run([image.numpy()])
        assert found.shape == (1, 1, *size)
        difference = exported.compare(found, expected)
        assert difference.is_close, (size, difference)


@pytest.mark.parametrize('mode', ['slide', 'slide_flip'])
def test_windows_are_refused(mode, images, tmp_path):
    options = {f'model.{name}': value for name, value in RESNET.items()}
    options['model.test_cfg'] = dict(mode=mode, crop_size=(64, 64), stride=(32, 32))
    model = small_model(tmp_path, 'bilinear', options)
    message = f"mode='{mode}' cannot be exported.* mode='whole' or 'whole_flip'"
    with pytest.raises(ValueError, match=message):
        export(model, tmp_path / 'out' / 'depth.onnx', images)
    assert not (tmp_path / 'out').exists()


def test_what_is_close():
    expected = np.array([0.001, 8.0], np.float32).reshape(1, 1, 1, 2)

    def change(*by):
        return DepthEstimator.compare(None, expected + np.float32(by), expected)

    assert change(0, 0) == Difference(('0.0e+00 mm', '0.0e+00', '0.00 to 8.00 m'), True)
    assert change(9e-5, 8e-3).is_close
    assert not change(1.1e-4, 0).is_close
    assert not change(0, 8.2e-3).is_close
    assert not change(0, np.nan).is_close
