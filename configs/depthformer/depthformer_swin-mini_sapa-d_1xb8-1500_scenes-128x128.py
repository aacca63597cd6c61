# Fewer points and smaller embeddings than Table 9 has: for a CPU.
_base_ = './depthformer_swin-mini_bilinear_1xb8-1500_scenes-128x128.py'

model = dict(
    decode_head=dict(
        upsample_cfg=dict(type='sapa_d', embed_dims=16, num_points=4, groups=4, pre_norm=True)
    )
)
