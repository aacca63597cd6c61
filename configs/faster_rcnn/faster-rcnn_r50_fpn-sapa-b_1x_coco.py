# Table 5, SAPA-B
_base_ = './faster-rcnn_r50_fpn-nearest_1x_coco.py'

model = dict(neck=dict(upsample_cfg=dict(type='sapa_b', embed_dims=32)))
