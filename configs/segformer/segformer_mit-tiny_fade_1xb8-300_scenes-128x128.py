_base_ = './segformer_mit-tiny_bilinear_1xb8-300_scenes-128x128.py'

model = dict(
    decode_head=dict(
        upsample_cfg=dict(type='fade', up_kernel=5, compressed_channels=64, gate=False)
    )
)
