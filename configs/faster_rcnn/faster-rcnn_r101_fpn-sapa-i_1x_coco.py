# ResNet-101, SAPA-I; Table 5 does not have it
_base_ = './faster-rcnn_r50_fpn-sapa-i_1x_coco.py'

model = dict(
    backbone=dict(depth=101, init_cfg=dict(type='Pretrained', checkpoint='torchvision://resnet101'))
)
