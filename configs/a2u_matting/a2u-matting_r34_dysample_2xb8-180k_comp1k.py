# DySample, in the setting of Table 8; not in the paper
_base_ = './a2u-matting_r34_bilinear_2xb8-180k_comp1k.py'

model = dict(upsample_cfg=dict(type='dysample', style='lp', groups=4))
