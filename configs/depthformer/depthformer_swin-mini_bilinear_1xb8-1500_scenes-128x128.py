# A DepthFormer small enough to be trained from scratch on a CPU in minutes.
_base_ = [
    '../_base_/models/depthformer_swin-t.py',
    '../_base_/datasets/scenes_depth_128x128.py',
    '../_base_/depth_runtime.py',
    '../_base_/schedules/small_depth_1500.py',
]

model = dict(
    data_preprocessor=dict(size=(128, 128)),
    backbone=dict(
        stem_channels=32,
        embed_dims=32,
        depths=(1, 1, 2, 1),
        num_heads=(1, 2, 4, 8),
        drop_path_rate=0.0,
        init_cfg=None,
    ),
    neck=dict(in_channels=[32, 32, 64, 128, 256], embed_dims=32, num_heads=4, num_points=2),
    # From random weights a ReLU may fall to 0 everywhere and stay there; a sigmoid cannot.
    decode_head=dict(in_channels=[32, 32, 64, 128, 256], scale_up=True),
    test_cfg=dict(mode='whole'),
)
default_hooks = dict(checkpoint=dict(interval=100))
