# Table 4, SAPA-B
_base_ = './upernet_r50_bilinear_8xb2-80k_ade20k-512x512.py'

model = dict(decode_head=dict(upsample_cfg=dict(type='sapa_b', embed_dims=32, kernel_size=5)))
