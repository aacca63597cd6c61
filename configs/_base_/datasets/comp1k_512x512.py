# Composition-1k: Adobe's 431 foregrounds on the images of COCO train2014 for training, and the 1000
# test images that `python tools/prepare_data.py comp1k` composes of 50 foregrounds and VOC2012.
# `**` is any folders or none: 'Adobe-licensed images' and 'Other', as Adobe delivers them.
#
# Training puts half of the foregrounds in front of a second one, transforms them, makes a trimap,
# crops around an unknown pixel, changes colours, and composes the image with any background.
dataset_type = 'MattingDataset'
data_root = 'data/comp1k'
crop_size = (512, 512)
train_pipeline = [
    dict(type='LoadFgAndBg'),
    dict(type='CompositeFg', prob=0.5),
    dict(type='ResizeFg', size=(640, 640), prob=0.25),
    dict(
        type='RandomFgAffine',
        degrees=30,
        scale_range=(0.8, 1.25),
        shear=10,
        flip_prob=0.5,
        min_rotated_side=1024,
    ),
    dict(type='GenerateTrimap', size_range=(1, 29)),
    dict(type='CropAroundUnknown', crop_size=crop_size),
    dict(type='JitterFg', hue=40),
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
    num_workers=8,
    persistent_workers=True,
    sampler=dict(type='InfiniteSampler', shuffle=True),
    dataset=dict(
        type=dataset_type,
        data_root=data_root,
        data_prefix=dict(
            fg_path='Training_set/**/fg', alpha_path='Training_set/**/alpha', bg_path='train2014'
        ),
        pipeline=train_pipeline,
    ),
)
val_dataloader = dict(
    batch_size=1,
    num_workers=4,
    persistent_workers=True,
    sampler=dict(type='DefaultSampler', shuffle=False),
    dataset=dict(
        type=dataset_type,
        data_root=data_root,
        data_prefix=dict(
            img_path='Test_set/merged',
            trimap_path='Test_set/**/trimaps',
            alpha_path='Test_set/**/alpha',
        ),
        test_mode=True,
        pipeline=test_pipeline,
    ),
)
test_dataloader = val_dataloader

# As the published figures were measured, on alpha that is not rounded to 8 bits.
val_evaluator = dict(type='MattingMetric', protocol='a2u')
test_evaluator = val_evaluator
