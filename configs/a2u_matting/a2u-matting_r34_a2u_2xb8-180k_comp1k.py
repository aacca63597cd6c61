# Table 8, A2U, which learns at the rate of the decoder
_base_ = './a2u-matting_r34_bilinear_2xb8-180k_comp1k.py'

model = dict(upsample_cfg=dict(type='a2u'))
optim_wrapper = dict(paramwise_cfg=dict(custom_keys={'.up.': dict(lr_mult=100)}))
