# Table 4, SAPA-D, with the settings of Table 2 (one group, offset DOF 1)
_base_ = './upernet_r50_bilinear_8xb2-80k_ade20k-512x512.py'

model = dict(
    decode_head=dict(
        upsample_cfg=dict(type='sapa_d', embed_dims=32, num_points=9, groups=1, shared_offset=True)
    )
)
