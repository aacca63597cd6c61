# Table 13, SAPA-D, 9 points, 8 groups
_base_ = './faster-rcnn_r50_fpn-sapa-d_1x_coco.py'

model = dict(neck=dict(upsample_cfg=dict(groups=8)))
