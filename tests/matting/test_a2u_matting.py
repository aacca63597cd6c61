"""A2U matting: the published network, its losses and predictions."""

import re

import pytest
import torch
import torch.nn.functional as F

pytest.importorskip('mmcv')

from mmengine.runner.checkpoint import load_checkpoint
from mmengine.structures import PixelData

from sapa_mm.matting import A2UMatting, MattingSample
from sapa_mm.matting.tiles import OVERLAP
from sapa_mm.upsamplers import UPSAMPLERS

from ..support.foreign_matting import ResNet34DecoderLearning, resnet34_names
from ..support.foreign_upsamplers import FADE, drawn_anew, load_by_mmengine, load_by_torch

# Beside bilinear; the paper's Table 8 with biases and norms.
INCREMENTS = {
    'deconv': (dict(type='deconv'), 811_520),
    'pixel_shuffle': (dict(type='pixel_shuffle'), 3_246_080),
    'carafe': (dict(type='carafe'), 263_824),
    'index_net': (dict(type='index_net', variant='m2o', hidden_ratio=2), 12_263_424),
    'a2u': (dict(type='a2u'), 21_656),
    'fade': (dict(type='fade'), 123_492),
    'sapa_i': (dict(type='sapa_i'), 0),
    'sapa_b': (dict(type='sapa_b', pre_norm=True), 35_072),
    'sapa_d': (dict(type='sapa_d', groups=1, shared_offset=True, pre_norm=True), 44_360),
}
SMALL = dict(base_channels=32, blocks=(1, 1, 1))


def make_model(kind='bilinear', **options):
    torch.manual_seed(0)
    return A2UMatting(dict(type=kind), **{**SMALL, **options})


def make_inputs(*size, n=2, seed=1):
    """Images and trimaps as the preprocessor gives them."""
    generator = torch.Generator().manual_seed(seed)
    trimap = make_trimap(*size, n=n, seed=seed) / 255
    return torch.cat([torch.randn(n, 3, *size, generator=generator), trimap], 1)


def make_trimap(*size, n=2, seed=1):
    generator = torch.Generator().manual_seed(seed)
    values = torch.tensor([0, 128, 255], dtype=torch.uint8)
    return values[torch.randint(3, (n, 1, *size), generator=generator)]


def make_samples(*size, n=2, seed=2):
    generator = torch.Generator().manual_seed(seed)

    def layer(channels):
        return PixelData(data=torch.rand(channels, *size, generator=generator))

    samples = []
    for trimap in make_trimap(*size, n=n):
        sample = MattingSample(trimap=PixelData(data=trimap), gt_alpha=layer(1))
        for key in ('gt_fg', 'gt_bg', 'gt_merged'):
            sample.set_field(layer(3), key)
        samples.append(sample)
    return samples


def count(**options):
    with torch.device('meta'):
        model = A2UMatting(**options)
    return sum(weight.numel() for weight in model.parameters())


def test_parameters_with_bilinear():
    assert count() == 8_049_003


@pytest.mark.parametrize('kind', INCREMENTS)
def test_parameters_of_upsamplers(kind):
    upsample_cfg, increment = INCREMENTS[kind]
    assert count(upsample_cfg=upsample_cfg) == 8_049_003 + increment


@pytest.mark.parametrize(
    ('load', 'kind'), [(load_by_torch, 'bilinear'), (load_by_mmengine, 'fade')]
)
def test_it_is_the_published_network_with_its_weights(load, kind):
    """Strictly: every tensor is used, and none is missing."""
    up = None if kind == 'bilinear' else lambda channels: FADE(channels, gating=False)
    literal = drawn_anew(ResNet34DecoderLearning(up, c=32, blocks=(2, 3, 2)))
    model = A2UMatting(dict(type=kind), base_channels=32, blocks=(2, 3, 2)).double().eval()
    load(model, literal.state_dict())
    inputs = make_inputs(32, 48).double()
    with torch.no_grad():
        out, expected = model(inputs), literal(inputs)
    assert out.unique().numel() > 100
    torch.testing.assert_close(out, expected, rtol=1e-9, atol=1e-9)


def test_all_published_tensors_are_used_once():
    literal, model = ResNet34DecoderLearning(), A2UMatting()
    theirs = literal.state_dict()
    for number, value in enumerate(theirs.values()):
        value.fill_(number + 1)  # the scale of a norm: |weight| + 1e-5
    model.load_state_dict(theirs, strict=True)
    ours = [
        value.unique()
        for name, value in model.state_dict().items()
        if not name.endswith('num_batches_tracked')
    ]
    assert torch.cat(ours).sort().values.round().tolist() == list(range(1, len(theirs) + 1))


def test_weights_of_its_own_load_as_they_are():
    """Also in part."""
    model, other = drawn_anew(make_model('sapa_d')), make_model('sapa_d')
    weights = model.state_dict()
    part = {name: value for name, value in weights.items() if not name.startswith('layer0')}
    for loaded in (part, weights):
        other.float().load_state_dict(loaded, strict=False)
        found = other.double().state_dict()
        for name, value in loaded.items():
            torch.testing.assert_close(found[name], value, rtol=1e-6, atol=1e-6)


def test_imagenet_weights_of_torchvision(tmp_path):
    theirs = resnet34_names()
    torch.save(theirs, tmp_path / 'resnet34.pth')
    cfg = dict(type='Pretrained', checkpoint=str(tmp_path / 'resnet34.pth'))
    model = A2UMatting(init_cfg=cfg)
    model.init_weights()
    ours = model.state_dict()
    assert (ours['layer0.0.weight'][:, :3] == theirs['conv1.weight']).all()
    assert (ours['layer0.0.weight'][:, 3] == 0).all()
    for one, other in {
        'layer0.1.running_var': 'bn1.running_var',
        'layer1.block3.convs.conv2.weight': 'layer1.2.conv2.weight',
        'layer2_1.convs.conv1.weight': 'layer2.0.conv1.weight',
        'layer2_1.convs.bn2.bias': 'layer2.0.bn2.bias',
        'layer2_1.proj_conv.weight': 'layer2.0.downsample.0.weight',
        'layer3_1.proj_bn.running_mean': 'layer3.0.downsample.1.running_mean',
        'layer3_2.block3.convs.conv1.weight': 'layer3.3.conv1.weight',
    }.items():
        assert (ours[one] == theirs[other]).all(), one
    # The whole encoder; the rest is as it was.
    encoder = [name for name in ours if name.startswith('layer')]
    names = {
        name
        for name, value in ours.items()
        if any(value.shape == other.shape and (value == other).all() for other in theirs.values())
        and value.numel() > 1
    }
    assert names == {name for name in encoder if ours[name].numel() > 1} - {'layer0.0.weight'}


def test_imagenet_weights_do_not_fit_another_width(tmp_path):
    torch.save(resnet34_names(), tmp_path / 'resnet34.pth')
    with pytest.raises(ValueError, match='ResNet-34 have 64 channels; base_channels is 32'):
        load_checkpoint(make_model(), str(tmp_path / 'resnet34.pth'))


def test_initialisation():
    """Xavier's, but for upsamplers with one of their own."""
    model = A2UMatting(dict(type='carafe'))
    model.init_weights()
    weight = model.decoder_layer4.dconv.convs.conv2.weight
    assert weight.std().item() == pytest.approx((2 / 1.0001 * 2 / (2 * 9 * 128)) ** 0.5, rel=0.02)
    assert model.decoder_layer4.up.content_encoder.weight.std().item() == pytest.approx(
        0.001, rel=0.05
    )
    # With weights below 0, the head may have no alpha above 0, and learns nothing for long.
    assert model.pred[-1].weight.min() >= 0


def test_initial_weights_of_a_file_stay_as_they_are(tmp_path):
    trained = make_model()
    with torch.no_grad():
        trained.pred[-1].weight.fill_(-1)
    torch.save(trained.state_dict(), tmp_path / 'trained.pth')
    cfg = dict(type='Pretrained', checkpoint=str(tmp_path / 'trained.pth'))
    model = make_model(init_cfg=cfg)
    model.init_weights()
    for name, weight in model.state_dict().items():
        assert torch.equal(weight, trained.state_dict()[name]), name


@pytest.mark.parametrize('kind', sorted(UPSAMPLERS))
def test_it_learns_with_every_upsampler(kind):
    model = make_model(kind).train()
    losses = model(make_inputs(32, 32), make_samples(32, 32), mode='loss')
    assert set(losses) == {'loss_alpha', 'loss_comp'}
    sum(losses.values()).backward()
    for name, weight in model.named_parameters():
        assert weight.grad is not None, name
        assert weight.grad.isfinite().all(), name
    used = [weight.grad.any() for weight in model.parameters()]
    assert sum(used) > 0.9 * len(used)


def test_losses_against_the_formulas():
    model, inputs, samples = make_model().eval(), make_inputs(32, 48), make_samples(32, 48)
    with torch.no_grad():
        losses = model(inputs, samples, mode='loss')
        alphas = model(inputs)
    expected = {'loss_alpha': 0.0, 'loss_comp': 0.0}
    for alpha, sample in zip(alphas.double(), samples, strict=True):
        mask = sample.trimap.data == 128
        difference = (alpha - sample.gt_alpha.data)[mask]
        rho = (difference**2 + 1e-12).sqrt()
        expected['loss_alpha'] += 0.5 * rho.sum() / (mask.sum() + 1) / 2
        image = alpha * sample.gt_fg.data + (1 - alpha) * sample.gt_bg.data
        for color, true in zip(image, sample.gt_merged.data, strict=True):
            rho = ((color - true)[mask[0]] ** 2 + 1e-12).sqrt()
            expected['loss_comp'] += 0.5 * rho.sum() / (mask.sum() + 1) / 2
    for name, loss in losses.items():
        assert loss.item() == pytest.approx(expected[name].item(), rel=1e-5), name


def test_no_unknown_pixels_are_no_loss():
    model, samples = make_model(), make_samples(32, 32)
    for sample in samples:
        sample.trimap.data = sample.trimap.data.where(sample.trimap.data != 128, 255)
    losses = model(make_inputs(32, 32), samples, mode='loss')
    assert sum(losses.values()) == 0


@pytest.mark.parametrize('size', [(16, 16), (45, 33), (17, 64)])
def test_any_size_is_padded_by_reflection(size):
    model, inputs = make_model('sapa_b').eval(), make_inputs(*size)
    with torch.no_grad():
        out = model(inputs)
        right, bottom = -size[1] % 16, -size[0] % 16
        padded = model(F.pad(inputs, (0, right, 0, bottom), mode='reflect'))
    assert out.shape == (2, 1, *size)
    assert (out == padded[..., : size[0], : size[1]]).all()


def test_known_pixels_are_put_in():
    model, inputs, samples = make_model().eval(), make_inputs(40, 24), make_samples(40, 24)
    with torch.no_grad():
        predicted, alphas = model(inputs, samples, mode='predict'), model(inputs)
    for alpha, sample in zip(alphas, predicted, strict=True):
        trimap, pred = sample.trimap.data, sample.pred_alpha.data
        assert pred.shape == (1, 40, 24)
        assert (pred[trimap == 0] == 0).all()
        assert (pred[trimap == 255] == 1).all()
        unknown = trimap == 128
        assert (pred[unknown] == alpha.clamp(0, 1)[unknown]).all()
        assert pred[unknown].unique().numel() > 10


def test_mixed_precision():
    """Losses and predictions have 32 bits."""
    model, samples = make_model('sapa_d'), make_samples(32, 32)
    with torch.autocast('cpu', torch.bfloat16):
        losses = model(make_inputs(32, 32), samples, mode='loss')
        (pred, _) = model.eval()(make_inputs(32, 32), samples, mode='predict')
    sum(losses.values()).backward()
    assert {loss.dtype for loss in losses.values()} == {pred.pred_alpha.data.dtype}
    assert pred.pred_alpha.data.dtype == torch.float32
    assert all(weight.grad.isfinite().all() for weight in model.parameters())


def test_large_images_are_predicted_in_tiles(monkeypatch):
    """Only those with unknown pixels, and the log says so once."""
    lines, sizes = [], []
    monkeypatch.setattr('sapa_mm.matting.a2u_matting.log_info', lines.append)
    model = make_model(max_pixels=(2 * OVERLAP) ** 2, base_channels=2).eval()
    monkeypatch.setattr(model, '_network', lambda x: sizes.append(x.shape) or x[:, :1])
    samples = make_samples(590, 1110, n=1)
    samples[0].trimap.data[..., 600:] = 255
    inputs = make_inputs(590, 1110, n=1)
    inputs[:, 3] = samples[0].trimap.data / 255
    pred = model(inputs, samples, mode='predict')[0].pred_alpha.data
    unknown = samples[0].trimap.data == 128
    torch.testing.assert_close(pred[unknown], inputs[:, 0].clamp(0, 1)[unknown])
    assert (pred[..., 600:] == 1).all()
    assert len(set(sizes)) == 1
    assert len(sizes) < 8
    assert ['of 590 x 1110, are predicted in overlapping tiles' in line for line in lines] == [True]
    model(inputs, samples, mode='predict')
    assert len(lines) == 1
    model(make_inputs(32, 32), make_samples(32, 32), mode='predict')
    assert sizes[-1][2:] == (32, 32)


def test_bad_arguments():
    for message, options in {
        'base_channels must be even, got 33': dict(base_channels=33),
        'base_channels must be a positive integer, got 0': dict(base_channels=0),
        'blocks must be three numbers, got (3, 4)': dict(blocks=(3, 4)),
        'blocks[1] must be a positive integer, got 0': dict(blocks=(3, 0, 4)),
        'max_pixels must be 331776 or more, got 1000': dict(max_pixels=1000),
        'type must be one of': dict(upsample_cfg=dict(type='nearby')),
    }.items():
        with pytest.raises(ValueError, match=re.escape(message)):
            A2UMatting(**options)


def test_bad_inputs():
    model = make_model()
    for inputs, message in (
        (torch.zeros(1, 3, 32, 32), 'must have 4 channels, the colours and the trimap, got 3'),
        (torch.zeros(1, 4, 15, 32), 'must have 16 pixels or more a side, got 15 x 32'),
    ):
        with pytest.raises(ValueError, match=message):
            model(inputs)
    samples = make_samples(32, 32)
    with pytest.raises(ValueError, match='a data sample for each of the 2 images, got 0'):
        model(make_inputs(32, 32), mode='loss')
    with pytest.raises(ValueError, match=r'size of its image, \(32, 48\), got \(32, 32\)'):
        model(make_inputs(32, 48), samples, mode='loss')
    del samples[1].gt_fg
    with pytest.raises(ValueError, match='need gt_fg in every data sample'):
        model(make_inputs(32, 32), samples, mode='loss')
    with pytest.raises(ValueError, match="mode must be 'tensor', 'loss' or 'predict', got 'test'"):
        model(make_inputs(32, 32), mode='test')
