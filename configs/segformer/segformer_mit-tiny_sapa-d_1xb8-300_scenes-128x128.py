# Fewer points and smaller embeddings than Table 2 has: for a CPU.
_base_ = './segformer_mit-tiny_bilinear_1xb8-300_scenes-128x128.py'

model = dict(
    decode_head=dict(
        upsample_cfg=dict(
            type='sapa_d', embed_dims=16, num_points=4, groups=4, shared_offset=True, pre_norm=True
        )
    )
)
