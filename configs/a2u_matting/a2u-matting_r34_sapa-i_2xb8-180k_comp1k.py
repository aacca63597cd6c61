# Table 8, SAPA-I
_base_ = './a2u-matting_r34_bilinear_2xb8-180k_comp1k.py'

model = dict(upsample_cfg=dict(type='sapa_i', kernel_size=5, pre_norm=True))
