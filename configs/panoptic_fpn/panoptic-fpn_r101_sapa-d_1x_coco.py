# Table 7, ResNet-101, SAPA-D
_base_ = './panoptic-fpn_r50_sapa-d_1x_coco.py'

model = dict(
    backbone=dict(depth=101, init_cfg=dict(type='Pretrained', checkpoint='torchvision://resnet101'))
)
