_base_ = './segformer_mobilenet-v2_bilinear_1xb8-1200_camvid-192x192.py'

model = dict(
    decode_head=dict(
        upsample_cfg=dict(
            type='sapa_d', embed_dims=32, num_points=9, groups=4, shared_offset=True, pre_norm=True
        )
    )
)
