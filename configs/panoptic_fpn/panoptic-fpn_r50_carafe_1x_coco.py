# Table 7, CARAFE
_base_ = './panoptic-fpn_r50_nearest_1x_coco.py'

model = dict(neck=dict(upsample_cfg=dict(type='carafe', up_kernel=5, compressed_channels=64)))
