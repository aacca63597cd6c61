# A2U matting small enough to be trained from scratch on a CPU in minutes.
_base_ = [
    '../_base_/models/a2u-matting_r34.py',
    '../_base_/datasets/mattes_128x128.py',
    '../_base_/matting_runtime.py',
    '../_base_/schedules/small_matting_600.py',
]

model = dict(base_channels=32, blocks=(1, 1, 1), init_cfg=None)
default_hooks = dict(checkpoint=dict(interval=100))
