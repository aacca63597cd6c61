# Table 8, PixelShuffle
_base_ = './a2u-matting_r34_bilinear_2xb8-180k_comp1k.py'

model = dict(upsample_cfg=dict(type='pixel_shuffle', upsample_kernel=3))
