# Table 5, CARAFE
_base_ = './faster-rcnn_r50_fpn-nearest_1x_coco.py'

model = dict(neck=dict(upsample_cfg=dict(type='carafe', up_kernel=5, compressed_channels=64)))
