# Table 4, ResNet-101, Bilinear
_base_ = './upernet_r50_bilinear_8xb2-80k_ade20k-512x512.py'

model = dict(
    backbone=dict(
        depth=101, init_cfg=dict(type='Pretrained', checkpoint='open-mmlab://resnet101_v1c')
    )
)
