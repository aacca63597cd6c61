# Table 6, PixelShuffle
_base_ = './mask-rcnn_r50_fpn-nearest_1x_coco.py'

model = dict(neck=dict(upsample_cfg=dict(type='pixel_shuffle', upsample_kernel=3)))
