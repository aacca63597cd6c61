# DySample, in the setting of Table 6; not in the paper
_base_ = './mask-rcnn_r50_fpn-nearest_1x_coco.py'

model = dict(neck=dict(upsample_cfg=dict(type='dysample', style='lp', groups=4)))
