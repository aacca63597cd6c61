# Table 9, CARAFE
_base_ = './depthformer_swin-t_bilinear_2xb8-38k_nyu.py'

model = dict(
    decode_head=dict(upsample_cfg=dict(type='carafe', up_kernel=5, compressed_channels=64))
)
