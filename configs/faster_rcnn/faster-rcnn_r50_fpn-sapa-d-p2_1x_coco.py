# Table 13, SAPA-D, 2 points, 4 groups
_base_ = './faster-rcnn_r50_fpn-sapa-d_1x_coco.py'

model = dict(neck=dict(upsample_cfg=dict(num_points=2)))
