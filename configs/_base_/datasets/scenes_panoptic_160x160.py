# Made by: python tools/make_scenes.py data/scenes
dataset_type = 'CocoPanopticDataset'
data_root = 'data/scenes/'
thing_classes = ('disk', 'box', 'ring', 'star', 'blob', 'strand')
stuff_classes = ('sky', 'grass', 'water', 'brick', 'sand')
metainfo = dict(
    classes=thing_classes + stuff_classes,
    thing_classes=thing_classes,
    stuff_classes=stuff_classes,
    palette=[
        (220, 20, 60), (119, 11, 32), (250, 170, 30), (255, 255, 0), (165, 42, 165), (40, 20, 10),
        (135, 206, 250), (107, 142, 35), (0, 60, 140), (178, 90, 70), (230, 205, 150),
    ],
)  # fmt: skip
train_pipeline = [
    dict(type='LoadImageFromFile'),
    dict(type='LoadCocoPanopticAnnotations'),
    dict(type='RandomFlip', prob=0.5),
    dict(type='PackDetInputs'),
]
test_pipeline = [
    dict(type='LoadImageFromFile'),
    dict(type='Resize', scale=(160, 160), keep_ratio=True),
    dict(
        type='PackDetInputs',
        meta_keys=('img_id', 'img_path', 'ori_shape', 'img_shape', 'scale_factor'),
    ),
]
train_dataloader = dict(
    batch_size=8,
    num_workers=0,
    sampler=dict(type='InfiniteSampler', shuffle=True),
    dataset=dict(
        type=dataset_type,
        data_root=data_root,
        metainfo=metainfo,
        ann_file='annotations/panoptic_training.json',
        data_prefix=dict(img='images/training/', seg='panoptic/training/'),
        filter_cfg=dict(filter_empty_gt=True, min_size=32),
        pipeline=train_pipeline,
    ),
)
val_dataloader = dict(
    batch_size=1,
    num_workers=0,
    drop_last=False,
    sampler=dict(type='DefaultSampler', shuffle=False),
    dataset=dict(
        type=dataset_type,
        data_root=data_root,
        metainfo=metainfo,
        ann_file='annotations/panoptic_validation.json',
        data_prefix=dict(img='images/validation/', seg='panoptic/validation/'),
        test_mode=True,
        pipeline=test_pipeline,
    ),
)
test_dataloader = val_dataloader

# PanopticFPNWithInstances gives boxes and masks for AP besides the panoptic map.
val_evaluator = [
    dict(
        type='PanopticMetric',
        ann_file=data_root + 'annotations/panoptic_validation.json',
        seg_prefix=data_root + 'panoptic/validation/',
    ),
    dict(
        type='CocoMetric',
        ann_file=data_root + 'annotations/instances_validation.json',
        metric=['bbox', 'segm'],
    ),
]
test_evaluator = val_evaluator
