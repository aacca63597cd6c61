# Table 4, Bilinear
_base_ = [
    '../_base_/models/upernet_r50.py',
    '../_base_/datasets/ade20k_512x512.py',
    '../_base_/schedules/upernet_80k.py',
    '../_base_/segmentation_runtime.py',
]
