# ResNet-101, SAPA-B; Table 6 does not have it
_base_ = './mask-rcnn_r50_fpn-sapa-b_1x_coco.py'

model = dict(
    backbone=dict(depth=101, init_cfg=dict(type='Pretrained', checkpoint='torchvision://resnet101'))
)
