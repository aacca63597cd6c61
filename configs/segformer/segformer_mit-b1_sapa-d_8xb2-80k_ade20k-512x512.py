# Table 3, SAPA-D, with the settings of Table 2 (offset DOF 1)
_base_ = './segformer_mit-b1_bilinear_8xb2-80k_ade20k-512x512.py'

model = dict(
    decode_head=dict(
        upsample_cfg=dict(
            type='sapa_d',
            embed_dims=32,
            num_points=9,
            groups=4,
            shared_offset=True,
            pre_norm=True,
        )
    )
)
