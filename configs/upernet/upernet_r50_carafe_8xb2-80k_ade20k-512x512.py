# Table 4, CARAFE
_base_ = './upernet_r50_bilinear_8xb2-80k_ade20k-512x512.py'

model = dict(
    decode_head=dict(upsample_cfg=dict(type='carafe', up_kernel=5, compressed_channels=64))
)
