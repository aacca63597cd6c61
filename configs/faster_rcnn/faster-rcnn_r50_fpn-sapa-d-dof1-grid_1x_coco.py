# Table 12, offset DOF 1, grid
_base_ = './faster-rcnn_r50_fpn-sapa-d_1x_coco.py'

model = dict(neck=dict(upsample_cfg=dict(shared_offset=True, offset_init='grid')))
