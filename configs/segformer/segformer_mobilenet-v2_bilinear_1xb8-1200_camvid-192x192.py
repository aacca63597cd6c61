# On street scenes of 480x360 pixels, from a pretrained backbone, in half an hour of one CPU core.
_base_ = [
    '../_base_/models/segformer_mit-b1.py',
    '../_base_/datasets/camvid_192x192.py',
    '../_base_/segmentation_runtime.py',
    '../_base_/schedules/small_segmentation_1200.py',
]

# Of ImageNet; a file of the backbone alone will do as well.
checkpoint = 'mmcls://mobilenet_v2'
norm_cfg = dict(type='BN', requires_grad=True)
model = dict(
    data_preprocessor=dict(size=(192, 192)),
    backbone=dict(
        _delete_=True,
        type='MobileNetV2',
        out_indices=(1, 2, 4, 6),
        norm_cfg=norm_cfg,
        init_cfg=dict(type='Pretrained', checkpoint=checkpoint),
    ),
    decode_head=dict(
        in_channels=[24, 32, 96, 320], channels=128, num_classes=11, norm_cfg=norm_cfg
    ),
)
default_hooks = dict(checkpoint=dict(interval=100, max_keep_ckpts=2))
