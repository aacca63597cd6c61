# Table 4, Deconv
_base_ = './upernet_r50_bilinear_8xb2-80k_ade20k-512x512.py'

model = dict(decode_head=dict(upsample_cfg=dict(type='deconv', kernel_size=3)))
