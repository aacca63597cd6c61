"""Flip averaging against mmseg's slide_flip, windows, padding and what is refused."""

import pytest
import torch
import torch.nn.functional as F

pytest.importorskip('mmseg')

from mmengine.config import ConfigDict
from mmengine.registry import init_default_scope
from mmengine.structures import PixelData
from mmseg.models.segmentors import DepthEstimator
from mmseg.registry import MODELS
from mmseg.structures import SegDataSample

from sapa_mm.depth import FlipDepthEstimator

SIZES = [(64, 96), (61, 75), (33, 32)]
BACKBONES = {
    'resnet': dict(type='ResNet', depth=18, base_channels=8, stem_channels=8),
    'mit': dict(type='MixVisionTransformer', embed_dims=8, num_layers=[1, 1, 1, 1]),
    'swin': dict(type='SwinTransformer', embed_dims=8, depths=(1, 1, 1, 1), num_heads=(1, 1, 2, 2)),
}
IN_CHANNELS = [8, 16, 32, 64]
# Heads whose depth is clamped at 5, from below and from above.
CLAMPED = [dict(min_depth=5.0), dict(max_depth=5.0, scale_up=False)]


@pytest.fixture(autouse=True)
def _scope():
    init_default_scope('mmseg')


def make_model(test_cfg=None, cls=FlipDepthEstimator, backbone='resnet', size_divisor=None, **head):
    """A small model whose head has a place for each of the levels; in evaluation."""
    torch.manual_seed(0)
    preprocessor = dict(
        type='SegDataPreProcessor', mean=[0.0] * 3, std=[1.0] * 3, seg_pad_val=0, size=(64, 64)
    )
    if size_divisor:
        preprocessor['test_cfg'] = dict(size_divisor=size_divisor)
    model = cls(
        data_preprocessor=preprocessor,
        backbone={**BACKBONES[backbone]},
        decode_head=dict(
            type='UpsampleDenseDepthHead', in_channels=IN_CHANNELS, **{'scale_up': True, **head}
        ),
        test_cfg=ConfigDict(dict(mode='whole') if test_cfg is None else test_cfg),
    )
    # Depth that varies around 5.
    torch.nn.init.normal_(model.decode_head.conv_depth.weight, std=0.1)
    torch.nn.init.constant_(
        model.decode_head.conv_depth.bias, 0 if model.decode_head.scale_up else 5
    )
    return model.eval()


def make_images(size, count=2, seed=1):
    return torch.randn(count, 3, *size, generator=torch.Generator().manual_seed(seed))


def make_samples(count, **meta):
    samples = [SegDataSample() for _ in range(count)]
    for sample in samples:
        sample.set_metainfo(meta)
    return samples


def windows(size, **more):
    return dict(crop_size=size, stride=size, **more)


def predict(model, images, samples=None):
    with torch.no_grad():
        samples = model.predict(images, samples)
    return [sample.pred_depth_map.data for sample in samples]


@pytest.mark.parametrize('clamp', CLAMPED)
@pytest.mark.parametrize('count', [1, 3])
@pytest.mark.parametrize('size', SIZES)
def test_whole_flip_is_mmsegs_slide_flip_over_the_whole_image(size, count, clamp):
    images = make_images(size, count)
    stock = make_model(windows(size, mode='slide_flip'), DepthEstimator, **clamp)
    expected = predict(stock, images)
    out = predict(make_model(dict(mode='whole_flip'), **clamp), images)
    assert all(map(torch.equal, out, expected))
    plain = predict(make_model(dict(mode='whole'), **clamp), images)
    assert not torch.equal(out[0], plain[0])
    assert 0 < torch.stack(plain).eq(5).float().mean() < 0.9


@pytest.mark.parametrize('clamp', CLAMPED)
def test_each_is_clamped_before_it_is_resized_and_averaged(clamp):
    model = make_model(dict(mode='whole_flip'), **clamp)
    images = make_images((61, 75))
    with torch.no_grad():
        views = [model.decode_head(model.backbone(view)) for view in (images, images.flip(3))]
    both = [
        F.interpolate(
            view.clamp(model.decode_head.min_depth, model.decode_head.max_depth),
            (61, 75),
            mode='bilinear',
            align_corners=True,
        )
        for view in views
    ]
    expected = (both[0] + both[1].flip(3)) / 2
    assert torch.equal(torch.stack(predict(model, images)), expected)


@pytest.mark.parametrize('size', SIZES)
def test_the_mirror_of_an_image_has_the_mirror_of_its_depth(size):
    model = make_model(dict(mode='whole_flip'))
    images = make_images(size)
    out = predict(model, images.flip(3))
    assert all(torch.equal(a, b.flip(2)) for a, b in zip(out, predict(model, images), strict=True))


@pytest.mark.parametrize('mode', ['whole', 'whole_flip'])
def test_images_that_a_pipeline_flipped(mode):
    """The prediction is that of the image as it was."""
    model, images = make_model(dict(mode=mode)), make_images((61, 75))
    meta = dict(ori_shape=(61, 75), img_shape=(61, 75))
    flips = dict(flip=True, flip_direction='horizontal')
    flipped = predict(model, images, make_samples(2, **meta, **flips))
    plain = predict(model, images, make_samples(2, **meta))
    assert all(torch.equal(a, b.flip(2)) for a, b in zip(flipped, plain, strict=True))


def test_images_of_several_original_sizes():
    model, images = make_model(dict(mode='whole_flip')), make_images((64, 96))
    samples = make_samples(2, img_shape=(64, 96))
    sizes = [(64, 96), (50, 70)]
    for sample, size in zip(samples, sizes, strict=True):
        sample.set_metainfo(dict(ori_shape=size))
    out = predict(model, images, samples)
    own = predict(model, images)
    assert torch.equal(out[0], own[0])
    expected = F.interpolate(own[1][None], (50, 70), mode='bilinear', align_corners=True)
    assert torch.equal(out[1], expected[0])


@pytest.mark.parametrize('mode', ['whole', 'whole_flip', 'slide', 'slide_flip'])
def test_padding_is_cut_off(mode):
    cfg = dict(mode=mode, crop_size=(64, 64), stride=(32, 32))
    model = make_model(cfg, size_divisor=32)
    images = make_images((50, 70))
    samples = make_samples(2, ori_shape=(50, 70), img_shape=(50, 70))
    data = model.data_preprocessor(dict(inputs=list(images), data_samples=samples))
    assert data['inputs'].shape[2:] == (64, 96)
    out = predict(model, data['inputs'], data['data_samples'])
    padded = predict(make_model(cfg), F.pad(images, (0, 26, 0, 14)))
    for depth, whole in zip(out, padded, strict=True):
        assert depth.shape == (1, 50, 70)
        assert torch.equal(depth, whole[:, :50, :70])


@pytest.mark.parametrize('flip', [False, True])
def test_windows_are_averaged(flip):
    """Each window by itself, in mmseg's order: the last ones end at the border."""
    mode = 'slide_flip' if flip else 'slide'
    model = make_model(dict(mode=mode, crop_size=(64, 64), stride=(32, 48)))
    images = make_images((96, 100))
    total, count = torch.zeros(2, 1, 96, 100), torch.zeros(96, 100)
    whole = make_model(dict(mode='whole_flip' if flip else 'whole'))
    for top in (0, 32):
        for left in (0, 36):
            rows, columns = slice(top, top + 64), slice(left, left + 64)
            window = predict(whole, images[:, :, rows, columns])
            total[:, :, rows, columns] += torch.stack(window)
            count[rows, columns] += 1
    out = torch.stack(predict(model, images))
    torch.testing.assert_close(out, total / count, rtol=1e-5, atol=1e-5)
    everything = make_model(dict(windows((96, 100)), mode=mode))
    assert all(map(torch.equal, predict(everything, images), predict(whole, images)))


@pytest.mark.parametrize('backbone', BACKBONES)
def test_training_on_any_backbone(backbone):
    """Images smaller than the crop are padded, and what is padded has no part in the loss."""
    model = make_model(backbone=backbone, upsample_cfg=dict(type='sapa_d', groups=1)).train()
    generator = torch.Generator().manual_seed(2)
    images = list(make_images((64, 48), 4))
    samples = make_samples(4)
    for image, sample in zip(images, samples, strict=True):
        # Depth is there to be seen.
        image[0] = torch.rand(64, 48, generator=generator).sort(0).values
        sample.gt_depth_map = PixelData(data=1 + 8 * image[:1])
    optimizer = torch.optim.AdamW(model.parameters(), lr=3e-3)
    losses = []
    data = model.data_preprocessor(dict(inputs=images, data_samples=samples), training=True)
    assert data['inputs'].shape == (4, 3, 64, 64)
    assert not data['data_samples'][0].gt_depth_map.data[:, :, 48:].any()
    for _ in range(25):
        loss = model(**data, mode='loss')['decode.loss_sig']
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert losses[-1] < losses[0] / 2
    out = predict(model.eval(), make_images((61, 75)))
    assert out[0].shape == (1, 61, 75)


def test_builds_from_the_registry_without_a_mode():
    cfg = dict(
        type='FlipDepthEstimator',
        backbone=BACKBONES['resnet'],
        decode_head=dict(type='UpsampleDenseDepthHead', in_channels=IN_CHANNELS),
    )
    model = MODELS.build(cfg).eval()
    assert type(model) is FlipDepthEstimator
    assert predict(model, make_images((32, 32), 1))[0].shape == (1, 32, 32)


@pytest.mark.parametrize(
    ('test_cfg', 'message'),
    [
        (
            dict(mode='flip'),
            "test_cfg.mode must be one of whole, whole_flip, slide, slide_flip, got 'flip'",
        ),
        (dict(mode='slide'), "test_cfg.mode='slide' needs crop_size and stride"),
        (dict(mode='slide_flip', stride=(8, 8)), "test_cfg.mode='slide_flip' needs crop_size"),
    ],
)
def test_bad_test_cfg(test_cfg, message):
    with pytest.raises(ValueError, match=message):
        make_model(test_cfg)
