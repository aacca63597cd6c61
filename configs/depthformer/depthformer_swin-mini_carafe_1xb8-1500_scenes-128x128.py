_base_ = './depthformer_swin-mini_bilinear_1xb8-1500_scenes-128x128.py'

model = dict(
    decode_head=dict(upsample_cfg=dict(type='carafe', up_kernel=5, compressed_channels=64))
)
