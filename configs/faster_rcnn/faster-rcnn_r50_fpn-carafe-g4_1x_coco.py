# Table 13, CARAFE, 25 points, 4 groups
_base_ = './faster-rcnn_r50_fpn-carafe_1x_coco.py'

model = dict(neck=dict(upsample_cfg=dict(up_group=4)))
