"""Tiny configs of both hosts, of depth and of matting, as text, on images that are drawn here."""

import json

import numpy as np
from PIL import Image

SIZE = 64


def _draw(rng):
    """An image with one bright square, and where the square is: x, y, width, height."""
    image = rng.integers(0, 60, (SIZE, SIZE, 3), dtype=np.uint8)
    x, y = (int(value) for value in rng.integers(2, 30, 2))
    side = int(rng.integers(12, 30))
    image[y : y + side, x : x + side] += 150
    return image, (x, y, side, side)


def write_ade(root, count=4):
    """Write images and label maps in ADE20K's layout: 0 is unlabelled, class k is k + 1."""
    rng = np.random.default_rng(0)
    for split in ('training', 'validation'):
        images, maps = root / 'images' / split, root / 'annotations' / split
        images.mkdir(parents=True)
        maps.mkdir(parents=True)
        for index in range(count):
            image, (x, y, width, height) = _draw(rng)
            labels = np.ones((SIZE, SIZE), np.uint8)
            labels[y : y + height, x : x + width] = 2
            Image.fromarray(image).save(images / f'{index}.jpg')
            Image.fromarray(labels).save(maps / f'{index}.png')


def write_nyu(root, count=4):
    """Write images and depth maps in NYU's layout: a wall of 4 m, a square of 2 m, a hole."""
    rng = np.random.default_rng(0)
    for split in ('train', 'test'):
        images, maps = root / 'images' / split, root / 'annotations' / split
        images.mkdir(parents=True)
        maps.mkdir(parents=True)
        for index in range(count):
            image, (x, y, width, height) = _draw(rng)
            depth = np.full((SIZE, SIZE), 4000, np.uint16)
            depth[y : y + height, x : x + width] = 2000
            depth[-8:, -8:] = 0
            Image.fromarray(image).save(images / f'{index}.jpg')
            Image.fromarray(depth).save(maps / f'{index}.png')


def write_mattes(root, count=4):
    """Write layers and composed images in the layout of the generated mattes: soft squares."""
    rng = np.random.default_rng(0)
    for split, folders in (('train', ('fg', 'bg')), ('test', ('merged', 'trimaps'))):
        for folder in ('alpha', *folders):
            (root / split / folder).mkdir(parents=True)
        for index in range(count):
            bg, (x, y, width, height) = _draw(rng)
            fg = rng.integers(100, 256, bg.shape, dtype=np.uint8)
            alpha = np.zeros((SIZE, SIZE), np.uint8)
            alpha[y : y + height, x : x + width] = 100
            alpha[y + 3 : y + height - 3, x + 3 : x + width - 3] = 255
            trimap = np.where(alpha == 100, 128, alpha).astype(np.uint8)
            share = alpha[..., None] / 255
            merged = (share * fg + (1 - share) * bg).astype(np.uint8)
            layers = dict(fg=fg, bg=bg, alpha=alpha, merged=merged, trimaps=trimap)
            for folder in ('alpha', *folders):
                Image.fromarray(layers[folder]).save(root / split / folder / f'{index}.png')


def write_coco(root, count=4):
    """Write images and boxes in COCO's layout."""
    rng = np.random.default_rng(0)
    (root / 'images').mkdir(parents=True)
    images, annotations = [], []
    for index in range(1, count + 1):
        image, box = _draw(rng)
        name = f'{index}.png'
        Image.fromarray(image).save(root / 'images' / name)
        images.append({'id': index, 'file_name': name, 'height': SIZE, 'width': SIZE})
        annotations.append(
            {
                'id': index,
                'image_id': index,
                'category_id': 1,
                'bbox': box,
                'area': box[2] * box[3],
                'iscrowd': 0,
            }
        )
    categories = [{'id': 1, 'name': 'square'}]
    content = {'images': images, 'annotations': annotations, 'categories': categories}
    (root / 'boxes.json').write_text(json.dumps(content))


_RUNTIME = """
optim_wrapper = dict(type='OptimWrapper', optimizer=dict(type='AdamW', lr=0.001))
param_scheduler = [dict(type='PolyLR', power=1.0, begin=0, end=4, by_epoch=False)]
val_cfg = dict(type='ValLoop')
test_cfg = dict(type='TestLoop')
test_dataloader = val_dataloader
test_evaluator = val_evaluator
"""

_ITERATIONS = (
    """
train_cfg = dict(type='IterBasedTrainLoop', max_iters=4, val_interval=2)
default_hooks = dict(
    checkpoint=dict(type='CheckpointHook', by_epoch=False, interval=2),
    logger=dict(type='LoggerHook', interval=1, log_metric_by_epoch=False))
log_processor = dict(by_epoch=False)
"""
    + _RUNTIME
)

_MMSEG_RUNTIME = (
    _ITERATIONS
    + """
visualizer = dict(
    type='SegLocalVisualizer', vis_backends=[dict(type='LocalVisBackend')], name='visualizer')
default_hooks['visualization'] = dict(type='SegVisualizationHook')
"""
)

MMSEG = (
    """
default_scope = 'mmseg'
data_root = '{root}'

def loader(split, pipeline, sampler, shuffle):
    return dict(
        batch_size=2, num_workers=0, sampler=dict(type=sampler, shuffle=shuffle),
        dataset=dict(
            type='ADE20KDataset', data_root=data_root, pipeline=pipeline,
            data_prefix=dict(img_path='images/' + split, seg_map_path='annotations/' + split)))

annotations = dict(type='LoadAnnotations', reduce_zero_label=True)
train_dataloader = loader('training', [
    dict(type='LoadImageFromFile'), annotations,
    dict(type='RandomCrop', crop_size=(32, 32)), dict(type='RandomFlip', prob=0.5),
    dict(type='PhotoMetricDistortion'), dict(type='PackSegInputs')], 'InfiniteSampler', True)
val_dataloader = loader('validation', [
    dict(type='LoadImageFromFile'), annotations, dict(type='PackSegInputs')],
    'DefaultSampler', False)
val_dataloader['batch_size'] = 1
val_evaluator = dict(type='IoUMetric', iou_metrics=['mIoU'])
tta_pipeline = [
    dict(type='LoadImageFromFile'),
    dict(type='TestTimeAug', transforms=[
        [dict(type='RandomFlip', prob=0.0), dict(type='RandomFlip', prob=1.0)],
        [annotations], [dict(type='PackSegInputs')]])]
tta_model = dict(type='SegTTAModel')

norm_cfg = dict(type='BN', requires_grad=True)
model = dict(
    type='EncoderDecoder',
    data_preprocessor=dict(
        type='SegDataPreProcessor', mean=[60.0] * 3, std=[60.0] * 3, bgr_to_rgb=True,
        pad_val=0, seg_pad_val=255, size=(32, 32), test_cfg=dict(size_divisor=32)),
    backbone=dict(
        type='MixVisionTransformer', embed_dims=8, num_layers=[1, 1, 1, 1],
        num_heads=[1, 2, 2, 2], drop_path_rate=0.1),
    decode_head=dict(
        type='SegformerHead', in_channels=[8, 16, 16, 16], in_index=[0, 1, 2, 3], channels=8,
        dropout_ratio=0.1, num_classes=150, norm_cfg=norm_cfg, align_corners=False,
        loss_decode=dict(type='CrossEntropyLoss')),
    test_cfg=dict(mode='whole'))
"""
    + _MMSEG_RUNTIME
)

DEPTH = (
    """
default_scope = 'mmseg'
custom_imports = dict(imports=['sapa_mm.depth', 'sapa_mm.engine.safe_loading'])
data_root = '{root}'

def loader(split, pipeline, sampler, shuffle, batch_size):
    return dict(
        batch_size=batch_size, num_workers=0, sampler=dict(type=sampler, shuffle=shuffle),
        dataset=dict(
            type='NYUDataset', data_root=data_root, pipeline=pipeline, data_prefix=dict(
                img_path='images/' + split, depth_map_path='annotations/' + split)))

annotations = dict(type='LoadDepthAnnotation', depth_rescale_factor=1e-3)
train_dataloader = loader('train', [
    dict(type='LoadImageFromFile'), annotations,
    dict(type='RandomCrop', crop_size=(32, 32)), dict(type='RandomFlip', prob=0.5),
    dict(type='PackSegInputs')], 'InfiniteSampler', True, 2)
val_dataloader = loader('test', [
    dict(type='LoadImageFromFile'), annotations, dict(type='PackSegInputs')],
    'DefaultSampler', False, 1)
val_evaluator = dict(type='MonocularDepthMetric')

norm_cfg = dict(type='BN', requires_grad=True)
model = dict(
    type='FlipDepthEstimator',
    data_preprocessor=dict(
        type='SegDataPreProcessor', mean=[60.0] * 3, std=[60.0] * 3, bgr_to_rgb=True,
        pad_val=0, seg_pad_val=0, size=(32, 32), test_cfg=dict(size_divisor=32)),
    backbone=dict(
        type='MixVisionTransformer', embed_dims=8, num_layers=[1, 1, 1, 1],
        num_heads=[1, 2, 2, 2], drop_path_rate=0.1),
    decode_head=dict(
        type='UpsampleDenseDepthHead', in_channels=[8, 16, 16, 16], scale_up=True,
        upsample_cfg=dict(type='carafe'), loss_decode=dict(type='SigLoss', warm_up=True)),
    test_cfg=dict(mode='whole'))
"""
    + _MMSEG_RUNTIME
    + "default_hooks['checkpoint']['save_best'] = 'auto'\n"
)

MATTING = (
    """
default_scope = 'mmengine'
custom_imports = dict(imports=['sapa_mm.matting', 'sapa_mm.engine.safe_loading'])
data_root = '{root}'

def loader(prefix, pipeline, sampler, shuffle, batch_size):
    return dict(
        batch_size=batch_size, num_workers=0, sampler=dict(type=sampler, shuffle=shuffle),
        dataset=dict(
            type='MattingDataset', data_root=data_root, pipeline=pipeline, data_prefix=prefix))

train_dataloader = loader(
    dict(fg_path='train/fg', alpha_path='train/alpha', bg_path='train/bg'), [
        dict(type='LoadFgAndBg'), dict(type='CompositeFg'), dict(type='RandomFgAffine'),
        dict(type='GenerateTrimap', size_range=(1, 5)),
        dict(type='CropAroundUnknown', crop_size=32), dict(type='JitterFg'),
        dict(type='MergeFgAndBg'), dict(type='PackMattingInputs')], 'InfiniteSampler', True, 2)
val_dataloader = loader(
    dict(img_path='test/merged', trimap_path='test/trimaps', alpha_path='test/alpha'), [
        dict(type='LoadMattingImage'), dict(type='LoadTrimap'), dict(type='LoadAlphaAnnotations'),
        dict(type='PackMattingInputs')], 'DefaultSampler', False, 1)
val_evaluator = dict(type='MattingMetric')

visualizer = dict(
    type='Visualizer', vis_backends=[dict(type='LocalVisBackend')], name='visualizer')
model = dict(
    type='A2UMatting', base_channels=8, blocks=(1, 1, 1), upsample_cfg=dict(type='carafe'))
"""
    + _ITERATIONS
    + "default_hooks['checkpoint']['save_best'] = 'SAD'\n"
)

MMDET = (
    """
default_scope = 'mmdet'
data_root = '{root}'

def loader(pipeline, shuffle, **settings):
    return dict(
        batch_size=2, num_workers=0, sampler=dict(type='DefaultSampler', shuffle=shuffle),
        dataset=dict(
            type='CocoDataset', data_root=data_root, ann_file='boxes.json', pipeline=pipeline,
            metainfo=dict(classes=('square', )), data_prefix=dict(img='images/'), **settings))

train_dataloader = loader([
    dict(type='LoadImageFromFile'), dict(type='LoadAnnotations', with_bbox=True),
    dict(type='RandomFlip', prob=0.5), dict(type='PackDetInputs')], True)
val_dataloader = loader([
    dict(type='LoadImageFromFile'), dict(type='Resize', scale=(64, 64), keep_ratio=True),
    dict(type='LoadAnnotations', with_bbox=True), dict(type='PackDetInputs', meta_keys=(
        'img_id', 'img_path', 'ori_shape', 'img_shape', 'scale_factor'))], False, test_mode=True)
val_evaluator = dict(type='CocoMetric', ann_file=data_root + '/boxes.json', metric='bbox')

norm_cfg = dict(type='BN', requires_grad=True)
model = dict(
    type='RetinaNet',
    data_preprocessor=dict(
        type='DetDataPreprocessor', mean=[60.0] * 3, std=[60.0] * 3, bgr_to_rgb=True,
        pad_size_divisor=32),
    backbone=dict(
        type='ResNet', depth=18, base_channels=8, stem_channels=8, num_stages=4,
        out_indices=(1, 2, 3), norm_cfg=norm_cfg),
    neck=dict(type='FPN', in_channels=[16, 32, 64], out_channels=8, num_outs=3),
    bbox_head=dict(
        type='RetinaHead', num_classes=1, in_channels=8, feat_channels=8, stacked_convs=1,
        anchor_generator=dict(
            type='AnchorGenerator', octave_base_scale=4, scales_per_octave=1, ratios=[1.0],
            strides=[8, 16, 32]),
        bbox_coder=dict(type='DeltaXYWHBBoxCoder'),
        loss_cls=dict(type='FocalLoss', use_sigmoid=True),
        loss_bbox=dict(type='L1Loss')),
    train_cfg=dict(
        assigner=dict(type='MaxIoUAssigner', pos_iou_thr=0.5, neg_iou_thr=0.4, min_pos_iou=0),
        allowed_border=-1, pos_weight=-1, debug=False),
    test_cfg=dict(
        nms_pre=100, min_bbox_size=0, score_thr=0.0, nms=dict(type='nms', iou_threshold=0.5),
        max_per_img=10))
train_cfg = dict(type='EpochBasedTrainLoop', max_epochs=2, val_interval=1)
visualizer = dict(
    type='DetLocalVisualizer', vis_backends=[dict(type='LocalVisBackend')], name='visualizer')
default_hooks = dict(
    checkpoint=dict(type='CheckpointHook', interval=1),
    logger=dict(type='LoggerHook', interval=1),
    visualization=dict(type='DetVisualizationHook'))
"""
    + _RUNTIME
)


def write_config(path, text, root):
    """Write a config that reads its data from a folder."""
    path.write_text(text.replace('{root}', str(root)))
    return path
