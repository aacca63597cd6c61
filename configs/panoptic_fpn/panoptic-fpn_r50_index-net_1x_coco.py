# Table 7, IndexNet
_base_ = './panoptic-fpn_r50_nearest_1x_coco.py'

model = dict(neck=dict(upsample_cfg=dict(type='index_net', variant='hin')))
