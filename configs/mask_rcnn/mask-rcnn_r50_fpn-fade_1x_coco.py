# Table 6, FADE
_base_ = './mask-rcnn_r50_fpn-nearest_1x_coco.py'

model = dict(
    neck=dict(upsample_cfg=dict(type='fade', up_kernel=5, compressed_channels=64, gate=False))
)
