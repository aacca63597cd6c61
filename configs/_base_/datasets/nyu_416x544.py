# NYU Depth V2 with the lists of the Monocular-Depth-Estimation-Toolbox: 24231 images of 480x640 for
# training and 654 for testing, in the layout of mmseg's tools/dataset_converters/nyu.py. Depth maps
# are 16-bit PNGs in millimetres; 0 is no measurement.
#
# Training cuts off the border of frames, rotates half of them by up to 2.5 degrees, mirrors half,
# crops 416x544 at random, and changes gamma, brightness and colours of half.
dataset_type = 'NYUDataset'
data_root = 'data/nyu'
crop_size = (416, 544)
train_pipeline = [
    dict(type='LoadImageFromFile'),
    dict(type='LoadDepthAnnotation', depth_rescale_factor=1e-3),
    dict(type='FixedCrop', rows=(45, 472), columns=(43, 608), img_shape=(480, 640)),
    dict(type='RandomRotate', prob=0.5, degree=2.5, pad_val=0, seg_pad_val=0),
    dict(type='RandomFlip', prob=0.5),
    dict(type='RandomCrop', crop_size=crop_size),
    dict(
        type='ColorAug',
        prob=0.5,
        gamma_range=(0.9, 1.1),
        brightness_range=(0.75, 1.25),
        color_range=(0.9, 1.1),
    ),
    dict(type='PackSegInputs'),
]
# Whole images; the model averages the prediction of each with that of its mirror.
test_pipeline = [
    dict(type='LoadImageFromFile'),
    dict(type='LoadDepthAnnotation', depth_rescale_factor=1e-3),
    dict(type='PackSegInputs'),
]
train_dataloader = dict(
    batch_size=8,
    num_workers=8,
    persistent_workers=True,
    sampler=dict(type='InfiniteSampler', shuffle=True),
    dataset=dict(
        type=dataset_type,
        data_root=data_root,
        data_prefix=dict(img_path='images/train', depth_map_path='annotations/train'),
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
        data_prefix=dict(img_path='images/test', depth_map_path='annotations/test'),
        test_mode=True,
        pipeline=test_pipeline,
    ),
)
test_dataloader = val_dataloader

# Pixels of 0.001 m to 10 m inside the crop of Eigen et al.
val_evaluator = dict(
    type='MonocularDepthMetric', min_depth_eval=1e-3, max_depth_eval=10.0, crop_type='nyu_crop'
)
test_evaluator = val_evaluator
