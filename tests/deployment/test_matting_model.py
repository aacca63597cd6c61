"""Matting models exported to files."""

import json

import numpy as np
import pytest
import torch

pytest.importorskip('mmcv')
pytest.importorskip('onnxruntime')
pytest.importorskip('onnxscript')

from PIL import Image

from sapa_mm.deployment.export_model import export_model
from sapa_mm.deployment.formats import FORMATS
from sapa_mm.deployment.kinds import wrap
from sapa_mm.deployment.matting_model import MattingModel
from sapa_mm.deployment.trace import trace
from sapa_mm.matting import A2UMatting
from sapa_mm.upsamplers.build import UPSAMPLERS

from ..support.run_tool import call_tool

MODEL = dict(type='A2UMatting', base_channels=8, blocks=(1, 1, 1))
STEPS = ('LoadMattingImage', 'LoadTrimap', 'LoadAlphaAnnotations', 'PackMattingInputs')


@pytest.fixture(scope='module')
def files(tmp_path_factory):
    """Config, checkpoint, and an image, of odd sides, with a trimap of five values."""
    folder = tmp_path_factory.mktemp('matting')
    pipeline = [dict(type=step) for step in STEPS]
    (folder / 'config.py').write_text(f"""
custom_imports = dict(imports=['sapa_mm.matting'])
default_scope = 'mmengine'
model = {MODEL!r}
test_dataloader = dict(dataset=dict(type='MattingDataset', data_root={str(folder)!r},
    data_prefix=dict(img_path='merged', trimap_path='trimaps'), pipeline={pipeline!r}))
""")
    generator = torch.manual_seed(0)
    model = random_model(A2UMatting(**{k: v for k, v in MODEL.items() if k != 'type'}), generator)
    torch.save({'state_dict': model.state_dict()}, folder / 'model.pth')
    random = np.random.default_rng(0)
    for part in ('merged', 'trimaps'):
        (folder / part).mkdir()
    Image.fromarray(random.integers(0, 256, (85, 111, 3), np.uint8)).save(folder / 'merged/a.png')
    trimap = random.choice([0, 255, 128, 102, 1], (85, 111)).astype(np.uint8)
    Image.fromarray(trimap).save(folder / 'trimaps/a.png')
    return folder


def random_model(model, generator):
    """A head that gives about 0.5 ± 0.25, by a last norm that has seen some noise."""
    norm = model.pred[0][1]
    torch.nn.init.constant_(norm.weight, 0.25)
    torch.nn.init.constant_(norm.bias, 0.5)
    torch.nn.init.dirac_(model.pred[-1].weight)
    model.eval()
    norm.train()
    norm.momentum = 1.0
    image = torch.randn(1, 3, 128, 128, generator=generator)
    trimap = torch.rand(1, 1, 128, 128, generator=generator)
    with torch.no_grad():
        model.predict_alpha(torch.cat([image, trimap], 1))
    return model.eval()


@pytest.fixture(scope='module')
def exported(files):
    """The ONNX file, and the table of the check, by the test set."""
    out = files / 'matting.onnx'
    return out, export_model(str(files / 'config.py'), str(files / 'model.pth'), str(out))


def test_the_check_is_of_five_sizes(exported):
    rows = [
        [cell.strip() for cell in line.strip('|').split('|')] for line in exported[1].split('\n')
    ]
    assert rows[0][1:4] == ['largest difference', 'mean alpha', 'between 0 and 1']
    assert rows[2][0] == '85x111'
    assert len(rows) == 7
    assert all(float(row[1]) < 1e-4 for row in rows[2:])


def test_inputs_and_metadata(exported):
    import onnxruntime

    session = onnxruntime.InferenceSession(exported[0])
    values = [*session.get_inputs(), *session.get_outputs()]
    assert [(value.name, value.shape) for value in values] == [
        ('image', [1, 3, 'height', 'width']),
        ('trimap', [1, 1, 'height', 'width']),
        ('alpha', [1, 1, 'height', 'width']),
    ]
    texts = session.get_modelmeta().custom_metadata_map
    about = {name: json.loads(text) for name, text in texts.items() if name != 'sapa_mm'}
    assert about['mean'] == pytest.approx([123.675, 116.28, 103.53])
    assert about['std'] == pytest.approx([58.395, 57.12, 57.375])
    expected = dict(task='matting', trimap=[0, 255], channels='rgb', resize=[])
    assert {name: about[name] for name in expected} == expected


def test_the_script_writes_what_the_model_predicts(exported, files, tmp_path, capsys):
    from sapa_mm.engine.trained_model import load_trained

    paths = [files / 'merged/a.png', '--trimap', files / 'trimaps/a.png']
    assert call_tool('onnx_inference', exported[0], *paths, '--out', tmp_path / 'alpha.png') == 0
    written = Image.open(tmp_path / 'alpha.png')
    assert written.mode == 'L'
    trained = load_trained(str(files / 'config.py'), str(files / 'model.pth'))
    from mmengine.dataset import Compose

    steps = [dict(type=step) for step in STEPS if 'Alpha' not in step]
    info = dict(img_path=str(files / 'merged/a.png'), trimap_path=str(files / 'trimaps/a.png'))
    data = {key: [value] for key, value in Compose(steps)(info).items()}
    with torch.no_grad():
        alpha = trained.model.test_step(data)[0].pred_alpha.data[0].numpy()
    assert ((alpha > 0.05) & (alpha < 0.95)).mean() > 0.05
    np.testing.assert_allclose(np.asarray(written) / 255, alpha, atol=0.6 / 255)
    lines = capsys.readouterr().out.splitlines()[-3:]
    assert [line.split()[2] for line in lines] == ['foreground', 'background', 'between']


@pytest.mark.parametrize(
    ('arguments', 'message'),
    [
        ([], 'a trimap is needed'),
        (['--trimap', 'small.png'], 'the trimap must have the size (85, 111) of its image: (5, 8)'),
        (['--trimap', 'red.png'], 'red.png must be grey and opaque'),
        (['--trimap', 'clear.png'], 'clear.png must be grey and opaque'),
    ],
)
def test_trimaps_that_do_not_suit(
    exported, files, tmp_path, monkeypatch, capfd, arguments, message
):
    monkeypatch.chdir(tmp_path)
    Image.new('L', (8, 5)).save('small.png')
    Image.new('RGB', (111, 85), 'red').save('red.png')
    Image.new('RGBA', (111, 85)).save('clear.png')
    assert call_tool('onnx_inference', exported[0], files / 'merged/a.png', *arguments) == 2
    assert capfd.readouterr().err == f'error: {message}\n'


@pytest.mark.parametrize(
    ('images', 'trimaps', 'got'), [(['a'], [], '1 with 1 `images`, got 0'), ([], ['a'], 'none')]
)
def test_images_without_their_trimaps(files, images, trimaps, got):
    images, trimaps = (
        [str(files / part / f'{name}.png') for name in names]
        for part, names in (('merged', images), ('trimaps', trimaps))
    )
    arguments = [str(files / name) for name in ('config.py', 'model.pth', 'other.onnx')]
    with pytest.raises(ValueError, match=f'^trimaps: A2UMatting takes {got}'):
        export_model(*arguments, images, trimaps=trimaps)
    assert not (files / 'other.onnx').exists()


@pytest.mark.extended
@pytest.mark.parametrize(
    ('upsampler', 'suffix'), [*((name, '.onnx') for name in sorted(UPSAMPLERS)), ('sapa_d', '.pt2')]
)
def test_every_upsampler_at_three_sizes(upsampler, suffix, tmp_path):
    generator = torch.manual_seed(0)
    model = A2UMatting(dict(type=upsampler), base_channels=32, blocks=(1, 1, 1))
    exported = wrap(random_model(model, generator))
    path = str(tmp_path / f'matting{suffix}')
    FORMATS[suffix].write(trace(exported), {}, path)
    run = FORMATS[suffix].open(path)
    for height, width in ((128, 128), (97, 131), (250, 240)):
        image = torch.randn(1, 3, height, width)
        trimap = torch.randint(0, 4, (1, 1, height, width), dtype=torch.uint8) * 85
        with torch.no_grad():
            expected = exported(image, trimap).numpy()
        assert ((expected > 0) & (expected < 1)).mean() > 0.1
        found = run([image.numpy(), trimap.numpy()])
        difference = exported.compare(found, expected)
        assert difference.is_close, ((height, width), difference)


def test_what_is_close():
    expected = np.array([0, 0.5], np.float32)
    compare = MattingModel.compare
    assert compare(None, expected, expected).cells == ('0.0e+00', '0.250', '50.0 %')
    assert compare(None, expected + np.float32(9e-4), expected).is_close
    assert not compare(None, expected + np.float32(2e-3), expected).is_close
    assert not compare(None, expected * np.nan, expected).is_close
