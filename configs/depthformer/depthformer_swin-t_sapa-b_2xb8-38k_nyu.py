# Table 9, SAPA-B
_base_ = './depthformer_swin-t_bilinear_2xb8-38k_nyu.py'

model = dict(
    decode_head=dict(upsample_cfg=dict(type='sapa_b', embed_dims=32, kernel_size=5, pre_norm=True))
)
