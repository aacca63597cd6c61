# Table 12, no guidance, offset DOF s², origin
_base_ = './faster-rcnn_r50_fpn-sapa-d_1x_coco.py'

model = dict(neck=dict(upsample_cfg=dict(guided=False)))
