# Table 8, Bilinear
_base_ = [
    '../_base_/models/a2u-matting_r34.py',
    '../_base_/datasets/comp1k_512x512.py',
    '../_base_/schedules/a2u-matting_180k.py',
    '../_base_/matting_runtime.py',
]
