# Table 13, SAPA-B, 25 points, 4 groups
_base_ = './faster-rcnn_r50_fpn-sapa-b_1x_coco.py'

model = dict(neck=dict(upsample_cfg=dict(groups=4)))
