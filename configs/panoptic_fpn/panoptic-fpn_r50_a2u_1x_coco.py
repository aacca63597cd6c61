# Table 7, A2U
_base_ = './panoptic-fpn_r50_nearest_1x_coco.py'

model = dict(neck=dict(upsample_cfg=dict(type='a2u')))
