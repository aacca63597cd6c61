# Table 7, SAPA-B
_base_ = './panoptic-fpn_r50_nearest_1x_coco.py'

model = dict(neck=dict(upsample_cfg=dict(type='sapa_b', embed_dims=32)))
