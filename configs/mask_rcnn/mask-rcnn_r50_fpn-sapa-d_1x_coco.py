# Table 6, SAPA-D
_base_ = './mask-rcnn_r50_fpn-nearest_1x_coco.py'

model = dict(neck=dict(upsample_cfg=dict(type='sapa_d', embed_dims=32, num_points=9, groups=4)))
