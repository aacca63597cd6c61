# A SegFormer small enough to be trained from scratch on a CPU in minutes.
_base_ = [
    '../_base_/models/segformer_mit-b1.py',
    '../_base_/datasets/scenes_semantic_128x128.py',
    '../_base_/segmentation_runtime.py',
    '../_base_/schedules/small_segmentation_300.py',
]

norm_cfg = dict(type='BN', requires_grad=True)
model = dict(
    data_preprocessor=dict(size=(128, 128)),
    backbone=dict(
        embed_dims=16, num_layers=[1, 1, 1, 1], drop_path_rate=0.0, mlp_ratio=2, init_cfg=None
    ),
    decode_head=dict(
        in_channels=[16, 32, 80, 128], channels=64, num_classes=11, dropout_ratio=0.0,
        norm_cfg=norm_cfg,
    ),
)  # fmt: skip
default_hooks = dict(checkpoint=dict(interval=100))
