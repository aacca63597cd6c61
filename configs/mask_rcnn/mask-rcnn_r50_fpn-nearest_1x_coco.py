# Table 6, Nearest
_base_ = [
    '../_base_/models/mask-rcnn_r50_fpn.py',
    '../_base_/datasets/coco_instance.py',
    '../_base_/schedules/detection_1x.py',
    '../_base_/detection_runtime.py',
]

# The neck that the paper's parameters belong to: P6 is part of the top-down path.
model = dict(
    data_preprocessor=dict(pad_size_divisor=64),
    neck=dict(type='UpsampleFPNCARAFE'),
)
