# Table 7, PixelShuffle
_base_ = './panoptic-fpn_r50_nearest_1x_coco.py'

model = dict(neck=dict(upsample_cfg=dict(type='pixel_shuffle', upsample_kernel=3)))
