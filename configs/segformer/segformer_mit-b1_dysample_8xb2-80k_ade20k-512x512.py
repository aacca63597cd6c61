# DySample, in the setting of Table 3; not in the paper
_base_ = './segformer_mit-b1_bilinear_8xb2-80k_ade20k-512x512.py'

model = dict(decode_head=dict(upsample_cfg=dict(type='dysample', style='lp', groups=4)))
