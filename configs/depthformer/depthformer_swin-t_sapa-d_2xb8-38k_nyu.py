# Table 9, SAPA-D, with the settings of Table 2 (offset DOF s²)
_base_ = './depthformer_swin-t_bilinear_2xb8-38k_nyu.py'

model = dict(
    decode_head=dict(
        upsample_cfg=dict(type='sapa_d', embed_dims=32, num_points=9, groups=4, pre_norm=True)
    )
)
