"""Weights of torchvision's MobileNetV2 under the names of mmseg's."""

import pytest
import torch

pytest.importorskip('mmseg')

from mmseg.models import MobileNetV2

from sapa_mm.engine.mobilenet_weights import convert_mobilenet_v2


def torchvision_names(backbone):
    """The backbone's weights as torchvision names them, with those that it lacks."""
    blocks = (1, 2, 3, 4, 3, 3, 1)
    starts = [1 + sum(blocks[:layer]) for layer in range(7)]
    parts = {'conv': 0, 'bn': 1}
    weights = {}
    for name, value in backbone.state_dict().items():
        words = name.split('.')
        if words[0] == 'conv1':
            key = f'features.0.{parts[words[1]]}.{words[2]}'
        else:
            layer, block, _, conv, part, kind = words
            number = starts[int(layer.removeprefix('layer')) - 1] + int(block)
            last = 1 if layer == 'layer1' else 2
            place = f'{conv}.{parts[part]}' if int(conv) < last else int(conv) + parts[part]
            key = f'features.{number}.conv.{place}.{kind}'
        weights[key] = value
    return weights | {
        'features.18.0.weight': torch.zeros(2),
        'classifier.1.weight': torch.zeros(3),
    }


def test_converted(tmp_path):
    backbone = MobileNetV2(out_indices=(1, 2, 4, 6))
    for value in backbone.state_dict().values():
        value.copy_(torch.randn(value.shape).to(value.dtype))
    source, out = str(tmp_path / 'theirs.pth'), str(tmp_path / 'ours.pth')
    theirs = torchvision_names(backbone)
    assert 'features.2.conv.0.1.running_mean' in theirs
    torch.save(theirs, source)
    assert convert_mobilenet_v2(source, out) == 255
    loaded = torch.load(out, weights_only=True)
    ours = backbone.state_dict()
    assert loaded.keys() == {name for name in ours if 'num_batches' not in name}
    for name, value in loaded.items():
        assert torch.equal(value, ours[name]), name


def test_bad_input(tmp_path):
    path, out = str(tmp_path / 'weights.pth'), str(tmp_path / 'out.pth')
    with pytest.raises(FileNotFoundError, match='^source: '):
        convert_mobilenet_v2(path, out)
    torch.save(MobileNetV2().state_dict(), path)
    with pytest.raises(
        ValueError, match='^source: .* before features.18, got 0 like them; it has '
    ):
        convert_mobilenet_v2(path, out)
    # The same shapes in another order: bias before weight.
    weights = torchvision_names(MobileNetV2())
    swapped = {}
    for name in weights:
        first, *rest = (n for n in weights if n.rpartition('.')[0] == name.rpartition('.')[0])
        swapped |= {n: weights[n] for n in (*rest[:1], first, *rest[1:])}
    torch.save(swapped, path)
    with pytest.raises(ValueError, match='^source: .* must have the 255 weights of torchvision'):
        convert_mobilenet_v2(path, out)
    assert not (tmp_path / 'out.pth').exists()
