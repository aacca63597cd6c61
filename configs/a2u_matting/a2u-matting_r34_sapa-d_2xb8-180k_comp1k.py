# Table 8, SAPA-D, with the settings of Table 2 (offset DOF 1)
_base_ = './a2u-matting_r34_bilinear_2xb8-180k_comp1k.py'

model = dict(
    upsample_cfg=dict(
        type='sapa_d', embed_dims=32, num_points=9, groups=1, shared_offset=True, pre_norm=True
    )
)
