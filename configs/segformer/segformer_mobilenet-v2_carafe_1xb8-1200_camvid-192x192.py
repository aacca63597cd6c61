_base_ = './segformer_mobilenet-v2_bilinear_1xb8-1200_camvid-192x192.py'

model = dict(
    decode_head=dict(upsample_cfg=dict(type='carafe', up_kernel=5, compressed_channels=64))
)
