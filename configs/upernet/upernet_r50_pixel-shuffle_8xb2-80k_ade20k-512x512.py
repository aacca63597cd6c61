# Table 4, PixelShuffle
_base_ = './upernet_r50_bilinear_8xb2-80k_ade20k-512x512.py'

model = dict(decode_head=dict(upsample_cfg=dict(type='pixel_shuffle', upsample_kernel=3)))
