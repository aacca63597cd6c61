# Table 7, SAPA-D
_base_ = './panoptic-fpn_r50_nearest_1x_coco.py'

model = dict(neck=dict(upsample_cfg=dict(type='sapa_d', embed_dims=32, num_points=9, groups=4)))
