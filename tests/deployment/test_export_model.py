"""Segmentors exported to files, and models that are refused."""

import json
import sys
from pathlib import Path

import numpy as np
import pytest
import sapa_ops
import torch

pytest.importorskip('mmseg')
pytest.importorskip('onnxruntime')
pytest.importorskip('onnxscript')

from mmengine.dataset import Compose
from mmengine.registry import MODELS, init_default_scope
from PIL import Image

from sapa_mm.datasets import CLASSES, PALETTE, generate_scene
from sapa_mm.deployment import formats
from sapa_mm.deployment.check_values import Comparison, add_crops, check_sizes, is_accurate
from sapa_mm.deployment.export_model import export_model
from sapa_mm.deployment.exported_model import Difference
from sapa_mm.deployment.segmentor import Segmentor
from sapa_mm.deployment.trace import Traced
from sapa_mm.engine.config import in_scope, read_config
from sapa_mm.engine.images import image_pipeline, read_image
from sapa_mm.engine.trained_model import load_trained

from ..support.configs import CONFIGS, FASTER_RCNN, SEGFORMER, UPERNET, model_files
from ..support.operators import FORMS, skip_where_not_built

TOOLS = str(Path(__file__).parents[2] / 'tools')


@pytest.fixture(scope='module')
def images(tmp_path_factory):
    folder = tmp_path_factory.mktemp('images')
    for seed, size in enumerate([(90, 75), (64, 110)]):
        scene = generate_scene(seed, size=size)
        Image.fromarray(scene.image).save(folder / f'{seed}.png')
    return [str(path) for path in sorted(folder.iterdir())]


@pytest.fixture(scope='module')
def upernet(tmp_path_factory, images):
    """Config and checkpoint of a UPerNet, its ONNX file, and the table of the check."""
    folder = tmp_path_factory.mktemp('upernet')
    config, checkpoint = model_files(folder, UPERNET, 'sapa-d')
    out = folder / 'out' / 'upernet.onnx'
    table = export_model(config, checkpoint, str(out), images)
    return config, checkpoint, out, table


def test_the_check_is_of_five_sizes(upernet):
    *_, out, table = upernet
    rows = [[cell.strip() for cell in line.strip('|').split('|')] for line in table.splitlines()]
    assert rows[0][-2:] == ['torch', 'onnxruntime']
    assert [row[0] for row in rows[2:]] == ['96x96', '64x128', '95x93', '83x81', '71x69']
    assert all(float(row[1]) <= 1e-3 * float(row[2]) for row in rows[2:])
    # With random weights, a pixel of 6723 may have two equally likely classes.
    assert all(float(row[3].split()[0]) < 0.02 for row in rows[2:])
    assert [path.name for path in out.parent.iterdir()] == ['upernet.onnx']


def test_five_sizes():
    def sizes(*shapes):
        return [image.shape[1:] for (image,) in add_crops([(np.zeros((3, *s)),) for s in shapes])]

    for shapes in ([(96, 96)], [(96, 96)] * 7, [(512, 704), (352, 480), (96, 64)]):
        found = sizes(*shapes)
        assert found[: len(shapes)] == shapes
        assert len(set(found)) >= 5
        assert sum(h % 2 and w % 2 for h, w in set(found)) >= 2
        assert all(min(size) >= 64 for size in found)
    with pytest.raises(
        ValueError, match='32x5024 .* is too small to check on: the file takes 33x61'
    ):
        check_sizes([(np.zeros((3, 33, 61)),), (np.zeros((3, 32, 5024)),)], (33, 61))
    with pytest.raises(ValueError, match='at most 64x128 .* are too small to check 5 sizes on'):
        sizes((64, 128), (64, 64))


def comparison(size=(100, 100), close=True, different_pixels=0.0):
    return Comparison(size, Difference((), close, different_pixels), 1, 1)


def test_what_is_accurate():
    assert is_accurate([comparison(), comparison((10, 10), different_pixels=0.01)])
    assert not is_accurate([comparison(), comparison(different_pixels=0.0003)])
    assert not is_accurate([comparison(), comparison(close=False)])


def test_the_difference_of_logits():
    expected = np.array([[0.5, -2.0], [0.25, 1.0]], np.float32).reshape(1, 2, 1, 2)

    def change(by, at=(0, 0, 0, 1)):
        found = expected.copy()
        found[at] += by
        return Segmentor.compare(None, found, expected)

    assert change(0) == Difference(('0.0e+00', '2.0', '0.0000 %'), True)
    assert change(0.0019).is_close
    assert not change(0.0021).is_close
    assert not change(np.nan).is_close
    assert change(0.3, (0, 1, 0, 0)).different_pixels == 0.5


def test_the_script_reads_images_as_mmseg_does(tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(TOOLS)
    from onnx_inference import read_image as read

    pixels = np.random.default_rng(0).integers(0, 256, (6, 4, 3), np.uint8)
    picture = Image.fromarray(pixels)
    exif = Image.Exif()
    exif[0x0112] = 6
    picture.save(tmp_path / 'turned.png', exif=exif)
    Image.fromarray(pixels[..., 0].astype(np.uint16) * 257).save(tmp_path / 'deep.png')
    picture.convert('RGBA').save(tmp_path / 'alpha.png')
    picture.convert('L').save(tmp_path / 'grey.png')
    for path in sorted(tmp_path.iterdir()):
        assert np.array_equal(read(str(path)), read_image(str(path), 'image')), path.name
    assert read(str(tmp_path / 'turned.png')).shape == (4, 6, 3)


def test_metadata(upernet):
    import onnxruntime

    session = onnxruntime.InferenceSession(upernet[2])
    assert session.get_inputs()[0].shape == [1, 3, 'height', 'width']
    assert session.get_outputs()[0].shape == [1, len(CLASSES), 'height', 'width']
    texts = session.get_modelmeta().custom_metadata_map
    about = {name: json.loads(text) for name, text in texts.items() if name != 'sapa_mm'}
    assert about['classes'] == list(CLASSES)
    assert about['palette'] == [list(color) for color in PALETTE]
    preprocessor = load_trained(*upernet[:2]).model.data_preprocessor
    assert about['mean'] == preprocessor.mean.flatten().tolist()
    assert about['std'] == preprocessor.std.flatten().tolist()
    assert about['channels'] == 'rgb'
    assert about['resize'] == [dict(multiple_of=32)]
    assert about['task'] == 'segmentation'
    assert about['align_corners'] is False


@torch.no_grad()
def predict(cfg, model, path):
    """Predict as mmseg does."""
    with in_scope(cfg):
        sample = Compose(image_pipeline(cfg))(dict(img_path=path))
    return model.test_step({key: [value] for key, value in sample.items()})[0]


@pytest.mark.parametrize('index', [0, 1])
def test_the_script_labels_as_mmseg_does(upernet, images, index, monkeypatch):
    monkeypatch.syspath_prepend(TOOLS)
    from onnx_inference import OnnxModel

    trained = load_trained(*upernet[:2])
    expected = predict(trained.cfg, trained.model, images[index]).pred_sem_seg.data[0].numpy()
    labels = OnnxModel(upernet[2])(np.asarray(Image.open(images[index]).convert('RGB')))
    # OpenCV rounds differently when it resizes bytes.
    assert (labels == expected).mean() > 0.99


def test_logits_are_resized_one_class_after_the_other(monkeypatch):
    """All classes of a photograph at once take gigabytes."""
    import tracemalloc

    monkeypatch.syspath_prepend(TOOLS)
    from onnx_inference import Segmentation, resize

    logits = np.random.default_rng(0).standard_normal((150, 20, 30)).astype(np.float32)
    tracemalloc.start()
    labels = Segmentation.finish(logits, 200, 310, dict(align_corners=False))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert np.array_equal(labels, resize(logits, 200, 310).argmax(0))
    assert peak < 10 * 200 * 310 * 8  # all would take 75 times as much as one


def test_the_script_needs_neither_torch_nor_openmmlab():
    import subprocess

    code = (
        'import sys; sys.path.insert(0, sys.argv[1]); import onnx_inference; '
        "print([m for m in sys.modules if m.split('.')[0] in ('torch', 'mmcv', 'sapa_mm')])"
    )
    run = subprocess.run([sys.executable, '-c', code, TOOLS], capture_output=True, text=True)
    assert run.stdout.strip() == '[]', run.stderr


@pytest.mark.parametrize(
    ('rule', 'size'),
    [
        ([dict(scale=[2048, 512], keep_ratio=True), dict(multiple_of=32)], (512, 704)),
        ([dict(scale=[300, 200], keep_ratio=False)], (200, 300)),
        ([dict(scale_factor=0.5)], (182, 250)),
        ([], (364, 500)),
    ],
)
def test_the_size_rule_is_that_of_the_pipeline(rule, size, monkeypatch, tmp_path):
    monkeypatch.syspath_prepend(TOOLS)
    from onnx_inference import target_size

    init_default_scope('mmseg')
    steps = [dict(type='LoadImageFromFile')]
    for step in rule:
        if 'multiple_of' in step:
            steps.append(dict(type='ResizeToMultiple', size_divisor=step['multiple_of']))
        else:
            scale = {k: tuple(v) if k == 'scale' else v for k, v in step.items()}
            steps.append(dict(type='Resize', **scale))
    Image.new('RGB', (500, 364)).save(tmp_path / 'image.png')
    resized = Compose(steps)(dict(img_path=str(tmp_path / 'image.png')))['img']
    assert resized.shape[:2] == size
    assert target_size(rule, 364, 500) == size


@pytest.mark.extended
@pytest.mark.parametrize('form', FORMS)
def test_a_program_of_torch_export(form, tmp_path, images):
    skip_where_not_built(form)
    model = model_files(tmp_path, SEGFORMER, 'sapa-b')
    out = str(tmp_path / 'segformer.pt2')
    with sapa_ops.use_backend(form):
        assert '| torch | torch.export |' in export_model(*model, out, images[:1])
    extra = dict(classes='')
    program = torch.export.load(out, extra_files=extra)
    assert json.loads(extra['classes']) == list(CLASSES)
    targets = {str(node.target) for node in program.graph.nodes}
    assert 'sapa_ops.window_similarity.default' in targets


def test_values_that_are_not_the_models(upernet, images, tmp_path, monkeypatch):
    right = formats.FORMATS['.onnx']

    def open_wrong(path):
        run = right.open(path)
        return lambda inputs: run(inputs) + np.float32(0.5)

    def write(traced, metadata, path):
        Path(path).write_bytes(upernet[2].read_bytes())

    # Tracing takes a minute, and its result is not written here.
    monkeypatch.setattr(
        'sapa_mm.deployment.export_model.trace',
        lambda _: Traced(None, [1, 1], ('image',), 'logits'),
    )
    wrong = formats.Format('onnxruntime', write, open_wrong)
    monkeypatch.setitem(formats.FORMATS, '.onnx', wrong)
    out = tmp_path / 'out' / 'wrong.onnx'
    with pytest.raises(ValueError, match=r'is not written: its values are not those of the model'):
        export_model(*upernet[:2], str(out), images)
    assert not list(out.parent.iterdir())


@pytest.mark.parametrize(
    ('options', 'message'),
    [
        (
            {'model.test_cfg': dict(mode='slide', crop_size=(64, 64), stride=(32, 32))},
            r"test_cfg.mode='slide' cannot be exported: the file holds the network",
        ),
        (
            {'model.data_preprocessor.test_cfg': dict(size_divisor=32)},
            r'data_preprocessor.test_cfg=.* pads images: not exported',
        ),
        (
            {'test_dataloader.dataset.pipeline.1.type': 'RandomFlip'},
            'test pipeline: RandomFlip cannot be described in the file',
        ),
    ],
)
def test_what_cannot_be_exported(options, message, tmp_path, images):
    model = model_files(tmp_path, UPERNET, 'bilinear')
    out = tmp_path / 'out' / 'model.onnx'
    with pytest.raises(ValueError, match=message):
        export_model(*model, str(out), images, options)
    assert not out.parent.exists()


TWO_CLASSES = {
    f'{split}_dataloader.dataset.metainfo': dict(classes=('ground', 'object'), _delete_=True)
    for split in ('train', 'val', 'test')
}
LOAD = 'test_dataloader.dataset.pipeline.0'


@pytest.mark.parametrize(
    ('mode', 'options'),
    [
        # A single channel for two classes; the threshold is the median of the prediction.
        (
            'RGB',
            {
                'model.decode_head.num_classes': 2,
                'model.decode_head.out_channels': 1,
                'model.decode_head.loss_decode.use_sigmoid': True,
                **TWO_CLASSES,
            },
        ),
        (
            'RGBA',
            {
                f'{LOAD}.color_type': 'unchanged',
                'model.backbone.in_channels': 4,
                'model.data_preprocessor.mean': [110.0],
                'model.data_preprocessor.std': [60.0],
            },
        ),
        pytest.param(
            'L',
            {
                f'{LOAD}.color_type': 'grayscale',
                'model.backbone.in_channels': 1,
                'model.data_preprocessor.mean': [110.0],
                'model.data_preprocessor.std': [60.0],
                'model.data_preprocessor.bgr_to_rgb': False,
            },
            marks=pytest.mark.extended,
        ),
    ],
)
def test_one_logit_and_other_channels(mode, options, tmp_path, images, monkeypatch):
    """The exported file, and the script's reading of images, against mmseg's labels."""
    monkeypatch.syspath_prepend(TOOLS)
    from onnx_inference import OnnxModel
    from onnx_inference import read_image as read

    config = str(CONFIGS / SEGFORMER.format('bilinear'))
    cfg = read_config(config, options)
    torch.manual_seed(1)
    with in_scope(cfg):
        model = MODELS.build(cfg.model)
    torch.save({'state_dict': model.state_dict()}, tmp_path / 'model.pth')
    paths = []
    for index, path in enumerate(images):
        image = Image.open(path)
        image.putalpha(image.convert('L').rotate(180))
        paths.append(str(tmp_path / f'{index}.png'))
        (image if mode == 'RGBA' else image.convert(mode)).save(paths[-1])
    out = tmp_path / 'model.onnx'
    if mode == 'RGB':
        scores = predict(cfg, model.eval(), paths[0]).seg_logits.data
        options = {**options, 'model.decode_head.threshold': scores.median().item()}
    trained = load_trained(config, str(tmp_path / 'model.pth'), options)
    export_model(config, str(tmp_path / 'model.pth'), str(out), paths, options)
    expected = predict(trained.cfg, trained.model, paths[0]).pred_sem_seg.data[0].numpy()
    segmentor = OnnxModel(str(out))
    labels = segmentor(read(paths[0], segmentor.metadata['channels']))
    assert len(np.unique(labels)) > 1
    # Pillow rounds greys differently.
    assert (labels == expected).mean() > 0.98
    if mode == 'RGBA':
        with pytest.raises(ValueError, match='has the mode RGB, the model takes images of 4 chann'):
            read(images[0], segmentor.metadata['channels'])


@pytest.mark.parametrize(
    ('options', 'message'),
    [
        (
            {f'{LOAD}.imdecode_backend': 'tifffile'},
            'images that tifffile reads cannot be described',
        ),
        (
            {f'{LOAD}.color_type': 'grayscale'},
            r"model.backbone.in_channels=3 with color_type='grayscale' of LoadImageFromFile cannot",
        ),
    ],
)
def test_images_that_the_file_cannot_describe(options, message, tmp_path, images):
    model = model_files(tmp_path, SEGFORMER, 'bilinear')
    with pytest.raises(ValueError, match=message):
        export_model(*model, str(tmp_path / 'out' / 'model.onnx'), images, options)


def test_detectors(tmp_path, images):
    pytest.importorskip('mmdet')
    detector = model_files(tmp_path, FASTER_RCNN, 'nearest')
    with pytest.raises(ValueError, match='FasterRCNN cannot be exported: only segmentors and'):
        export_model(*detector, str(tmp_path / 'boxes.onnx'), images)
