# Table 6, ResNet-101, Nearest
_base_ = './mask-rcnn_r50_fpn-nearest_1x_coco.py'

model = dict(
    backbone=dict(depth=101, init_cfg=dict(type='Pretrained', checkpoint='torchvision://resnet101'))
)
