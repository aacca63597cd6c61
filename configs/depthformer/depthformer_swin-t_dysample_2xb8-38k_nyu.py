# DySample, in the setting of Table 9; not in the paper
_base_ = './depthformer_swin-t_bilinear_2xb8-38k_nyu.py'

model = dict(decode_head=dict(upsample_cfg=dict(type='dysample', style='lp', groups=4)))
