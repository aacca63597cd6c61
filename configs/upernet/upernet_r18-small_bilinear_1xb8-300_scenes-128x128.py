# A UPerNet small enough to be trained from scratch on a CPU in minutes.
_base_ = [
    '../_base_/models/upernet_r50.py',
    '../_base_/datasets/scenes_semantic_128x128.py',
    '../_base_/schedules/small_segmentation_300.py',
    '../_base_/segmentation_runtime.py',
]

norm_cfg = dict(type='BN', requires_grad=True)
model = dict(
    data_preprocessor=dict(size=(128, 128)),
    backbone=dict(
        depth=18, base_channels=32, stem_channels=32, norm_cfg=norm_cfg, init_cfg=None
    ),
    decode_head=dict(
        in_channels=[32, 64, 128, 256], channels=64, num_classes=11, dropout_ratio=0.0,
        norm_cfg=norm_cfg,
    ),
    auxiliary_head=dict(
        in_channels=128, channels=32, num_classes=11, dropout_ratio=0.0, norm_cfg=norm_cfg
    ),
)  # fmt: skip
default_hooks = dict(checkpoint=dict(interval=100))
