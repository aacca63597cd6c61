# ResNet-101, SAPA-I; Table 7 does not have it
_base_ = './panoptic-fpn_r50_sapa-i_1x_coco.py'

model = dict(
    backbone=dict(depth=101, init_cfg=dict(type='Pretrained', checkpoint='torchvision://resnet101'))
)
