# On the neck that most people use: P6 is pooled from P5, and three upsamplers suffice.
_base_ = [
    '../_base_/models/faster-rcnn_r50_fpn.py',
    '../_base_/datasets/coco_detection.py',
    '../_base_/schedules/detection_1x.py',
    '../_base_/detection_runtime.py',
]

model = dict(neck=dict(upsample_cfg=dict(type='sapa_d', embed_dims=32, num_points=9, groups=4)))
