# Table 12, offset DOF s², grid
_base_ = './faster-rcnn_r50_fpn-sapa-d_1x_coco.py'

model = dict(neck=dict(upsample_cfg=dict(offset_init='grid')))
