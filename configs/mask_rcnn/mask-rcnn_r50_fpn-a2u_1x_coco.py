# Table 6, A2U
_base_ = './mask-rcnn_r50_fpn-nearest_1x_coco.py'

model = dict(neck=dict(upsample_cfg=dict(type='a2u')))
