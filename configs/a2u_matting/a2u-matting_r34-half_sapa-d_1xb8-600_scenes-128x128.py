# Smaller embeddings than Table 8 has: for a CPU.
_base_ = './a2u-matting_r34-half_bilinear_1xb8-600_scenes-128x128.py'

model = dict(
    upsample_cfg=dict(
        type='sapa_d', embed_dims=16, num_points=9, groups=1, shared_offset=True, pre_norm=True
    )
)
