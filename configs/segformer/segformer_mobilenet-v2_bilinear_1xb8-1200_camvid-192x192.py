# On street scenes of 480x360 pixels, from a pretrained backbone, in half an hour of one CPU core.
_base_ = [
    '../_base_/models/segformer_mobilenet-v2.py',
    '../_base_/datasets/camvid_192x192.py',
    '../_base_/segmentation_runtime.py',
    '../_base_/schedules/small_segmentation_1200.py',
]

default_hooks = dict(checkpoint=dict(interval=100, max_keep_ckpts=2))
