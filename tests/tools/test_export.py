"""The one-line messages of tools/export.py and tools/onnx_inference.py about wrong input."""

import pytest

pytest.importorskip('mmseg')
pytest.importorskip('onnx')
pytest.importorskip('onnxruntime')
pytest.importorskip('onnxscript')

from PIL import Image

from ..support.configs import SEGFORMER, model_files


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
    assert 'is not of the model in' in error(other, checkpoint, *out, '--images', photo)
    (tmp_path / 'bad.safetensors').write_bytes(b'no weights')
    line = error(config, 'bad.safetensors', *out, '--images', photo)
    assert 'is damaged or no safetensors file' in line
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
