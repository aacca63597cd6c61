"""The one-line messages of tools/export.py and tools/onnx_inference.py about wrong input."""

import json
import math
import os

import pytest

pytest.importorskip('mmseg')
pytest.importorskip('onnx')
pytest.importorskip('onnxruntime')
pytest.importorskip('onnxscript')

from PIL import Image

from ..support.configs import SEGFORMER, model_files
from ..support.run_tool import call_tool


@pytest.fixture
def files(tmp_path):
    """Config, checkpoint and photograph."""
    Image.new('RGB', (90, 70)).save(tmp_path / 'photo.png')
    return *model_files(tmp_path, SEGFORMER, 'sapa-b'), str(tmp_path / 'photo.png')


def test_export(error_of, files, tmp_path, monkeypatch):
    config, checkpoint, photo = files

    def error(*args):
        line = error_of('export', *args)
        assert not (tmp_path / 'out').exists()
        return line

    model, out = (config, checkpoint), ('--out', 'out/model.onnx')
    assert 'must end in .onnx or .pt2, got out/model.pth' in error(*model, '--out', 'out/model.pth')
    (tmp_path / 'folder.onnx').mkdir()
    assert '--out: folder.onnx is a folder' in error(*model, '--out', 'folder.onnx')
    (tmp_path / 'file').touch()
    assert 'is not a folder' in error(*model, '--out', 'file/model.onnx')
    assert '--images: gone.png is not a file' in error(*model, *out, '--images', 'gone.png')
    assert 'cannot be read as an image' in error(*model, *out, '--images', checkpoint)
    assert 'checked on real images: name some with --images' in error(*model, *out)
    other = config.replace('sapa-b', 'sapa-d')
    assert 'does not fit the model in' in error(other, checkpoint, *out, '--images', photo)
    (tmp_path / 'bad.safetensors').write_bytes(b'no weights')
    line = error(config, 'bad.safetensors', *out, '--images', photo)
    assert 'is damaged, or not a safetensors file' in line
    monkeypatch.setitem(__import__('sys').modules, 'onnxscript', None)
    line = error(*model, *out, '--images', photo)
    assert line.endswith('needs onnxscript: pip install onnx onnxruntime onnxscript')


def test_onnx_inference(error_of, files, tmp_path):
    def error(*args):
        return error_of('onnx_inference', *args)

    assert 'gone.onnx' in error('gone.onnx', files[2])
    assert 'error: --out must end in .png, got labels.jpg' in error(
        'gone.onnx', files[2], '--out', 'labels.jpg'
    )
    (tmp_path / 'bad.onnx').write_bytes(b'no graph')
    assert 'bad.onnx' in error('bad.onnx', files[2])
    import onnx

    value = onnx.helper.make_tensor_value_info('image', onnx.TensorProto.FLOAT, [1])
    node = onnx.helper.make_node('Identity', ['image'], ['logits'])
    out = onnx.helper.make_tensor_value_info('logits', onnx.TensorProto.FLOAT, [1])
    graph = onnx.helper.make_graph([node], 'other', [value], [out])
    model = onnx.helper.make_model(graph, opset_imports=[onnx.helper.make_opsetid('', 18)])
    model.ir_version = 8
    onnx.save(model, 'other.onnx')
    assert 'was not written by tools/export.py' in error('other.onnx', files[2])

    right = dict(
        classes=['a'], palette=[], mean=[0, 0, 0], std=[1, 1, 1], channels='rgb', resize=[]
    )
    for name, wrong in (
        *(('classes', names) for names in (5, [1], [['a']])),
        *(('palette', colours) for colours in ([[1, 2]], [[1, 2, '3']], [[256, 0, 0]])),
        *(('mean', mean) for mean in ([1], [1, 2, math.nan], ['1', 2, 3], 10**30)),
        *(('mean', mean) for mean in ([1] * 2, [1] * 5)),
        *(('std', std) for std in ([1, 1, 0], [1, math.inf, 1], None)),
        *(('channels', channels) for channels in ('cmyk', ['rgb'])),
        *(('task', task) for task in ('detection', ['depth'], None)),
        *(('align_corners', corners) for corners in (0, 'false')),
        *(('resize', [dict(multiple_of=multiple)]) for multiple in (0, -32, 10**9, True, '32')),
        *(('resize', [dict(scale_factor=factor)]) for factor in (0, math.nan, 1e9, [1, 1])),
        *(('resize', [dict(scale=s, keep_ratio=True)]) for s in ([10**9, 10**9], [1], [0, 4])),
        ('resize', [dict(scale=[64, 64])]),
        ('resize', ['os.system']),
    ):
        onnx.helper.set_model_props(
            model, {key: json.dumps(value) for key, value in {**right, name: wrong}.items()}
        )
        onnx.save(model, 'hostile.onnx')
        assert f'hostile.onnx: its {name} cannot be used: ' in error('hostile.onnx', files[2])
    texts = {name: json.dumps(value) for name, value in {**right, 'channels': 'bgra'}.items()}
    onnx.helper.set_model_props(model, texts)
    onnx.save(model, 'hostile.onnx')
    assert 'its mean cannot be used: [0, 0, 0] for 4 channels' in error('hostile.onnx', files[2])
    for text in ('{', '[' * 10**5, '\x1b[2J'):
        onnx.helper.set_model_props(model, {**texts, 'channels': '"rgb"', 'classes': text})
        onnx.save(model, 'hostile.onnx')
        line = error('hostile.onnx', files[2])
        assert 'its classes cannot be used' in line
        assert line.isprintable()


def test_onnx_inference_prints_no_control_characters(files, tmp_path, capsys, monkeypatch):
    import onnx

    image, logits = (
        onnx.helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, [1, 3, 'h', 'w'])
        for name in ('image', 'logits')
    )
    node = onnx.helper.make_node('Identity', ['image'], ['logits'])
    graph = onnx.helper.make_graph([node], 'hostile', [image], [logits])
    model = onnx.helper.make_model(graph, opset_imports=[onnx.helper.make_opsetid('', 18)])
    model.ir_version = 8
    metadata = dict(classes=['\x1b[2J\n\ud800'], palette=[], mean=[0, 0, 0], std=[1, 1, 1])
    metadata |= dict(channels='rgb', resize=[])
    texts = {name: json.dumps(value) for name, value in metadata.items()}
    onnx.helper.set_model_props(model, texts)
    onnx.save(model, tmp_path / 'hostile.onnx')
    assert call_tool('onnx_inference', tmp_path / 'hostile.onnx', files[2]) == 0
    assert capsys.readouterr().out == '100.0 %  \\x1b[2J\\n\\ud800\n'
    # Nobody reads, as after `| head`.
    reader, writer = os.pipe()
    os.close(reader)
    with os.fdopen(writer, 'w') as output:
        monkeypatch.setattr('sys.stdout', output)
        assert call_tool('onnx_inference', tmp_path / 'hostile.onnx', files[2]) == 1
