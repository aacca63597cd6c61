# Table 6, Deconv
_base_ = './mask-rcnn_r50_fpn-nearest_1x_coco.py'

model = dict(neck=dict(upsample_cfg=dict(type='deconv', kernel_size=3)))
