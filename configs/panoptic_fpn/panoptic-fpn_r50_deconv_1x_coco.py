# Table 7, Deconv
_base_ = './panoptic-fpn_r50_nearest_1x_coco.py'

model = dict(neck=dict(upsample_cfg=dict(type='deconv', kernel_size=3)))
