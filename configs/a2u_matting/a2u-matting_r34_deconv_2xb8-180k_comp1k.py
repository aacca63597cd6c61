# Table 8, Deconv
_base_ = './a2u-matting_r34_bilinear_2xb8-180k_comp1k.py'

model = dict(upsample_cfg=dict(type='deconv', kernel_size=3))
