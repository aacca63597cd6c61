# Made by: python tools/make_scenes.py data/mattes --kind mattes
dataset_type = 'MattingDataset'
data_root = 'data/mattes'
crop_size = (128, 128)
train_pipeline = [
    dict(type='LoadFgAndBg'),
    dict(type='CompositeFg', prob=0.5),
    dict(type='RandomFgAffine'),
    dict(type='GenerateTrimap', size_range=(1, 9)),
    dict(type='CropAroundUnknown', crop_size=crop_size),
    dict(type='JitterFg'),
    dict(type='MergeFgAndBg'),
    dict(type='PackMattingInputs'),
]
test_pipeline = [
    dict(type='LoadMattingImage'),
    dict(type='LoadTrimap'),
    dict(type='LoadAlphaAnnotations'),
    dict(type='PackMattingInputs'),
]
train_dataloader = dict(
    batch_size=8,
    num_workers=0,
    sampler=dict(type='InfiniteSampler', shuffle=True),
    dataset=dict(
        type=dataset_type,
        data_root=data_root,
        data_prefix=dict(fg_path='train/fg', alpha_path='train/alpha', bg_path='train/bg'),
        pipeline=train_pipeline,
    ),
)
val_dataloader = dict(
    batch_size=1,
    num_workers=0,
    sampler=dict(type='DefaultSampler', shuffle=False),
    dataset=dict(
        type=dataset_type,
        data_root=data_root,
        data_prefix=dict(
            img_path='test/merged', trimap_path='test/trimaps', alpha_path='test/alpha'
        ),
        test_mode=True,
        pipeline=test_pipeline,
    ),
)
test_dataloader = val_dataloader

val_evaluator = dict(type='MattingMetric')
test_evaluator = val_evaluator
