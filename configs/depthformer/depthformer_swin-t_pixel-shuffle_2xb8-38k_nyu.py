# Table 9, PixelShuffle
_base_ = './depthformer_swin-t_bilinear_2xb8-38k_nyu.py'

model = dict(decode_head=dict(upsample_cfg=dict(type='pixel_shuffle', upsample_kernel=3)))
