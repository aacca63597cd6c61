# Table 3, Bilinear
_base_ = [
    '../_base_/models/segformer_mit-b1.py',
    '../_base_/datasets/ade20k_512x512.py',
    '../_base_/schedules/segformer_80k.py',
    '../_base_/segmentation_runtime.py',
]
