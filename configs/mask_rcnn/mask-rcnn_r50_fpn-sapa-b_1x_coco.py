# Table 6, SAPA-B
_base_ = './mask-rcnn_r50_fpn-nearest_1x_coco.py'

model = dict(neck=dict(upsample_cfg=dict(type='sapa_b', embed_dims=32)))
