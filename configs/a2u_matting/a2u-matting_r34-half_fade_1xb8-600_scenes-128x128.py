_base_ = './a2u-matting_r34-half_bilinear_1xb8-600_scenes-128x128.py'

model = dict(upsample_cfg=dict(type='fade', up_kernel=5, compressed_channels=64, gate=False))
