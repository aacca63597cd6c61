# Table 4, SAPA-I
_base_ = './upernet_r50_bilinear_8xb2-80k_ade20k-512x512.py'

model = dict(decode_head=dict(upsample_cfg=dict(type='sapa_i', kernel_size=5)))
