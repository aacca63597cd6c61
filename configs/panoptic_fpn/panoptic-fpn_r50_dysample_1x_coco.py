# DySample, in the setting of Table 7; not in the paper
_base_ = './panoptic-fpn_r50_nearest_1x_coco.py'

model = dict(neck=dict(upsample_cfg=dict(type='dysample', style='lp', groups=4)))
