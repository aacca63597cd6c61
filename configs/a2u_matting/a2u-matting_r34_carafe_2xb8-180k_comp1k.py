# Table 8, CARAFE
_base_ = './a2u-matting_r34_bilinear_2xb8-180k_comp1k.py'

model = dict(upsample_cfg=dict(type='carafe', up_kernel=5, compressed_channels=64))
