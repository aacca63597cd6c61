# Table 8, FADE
_base_ = './a2u-matting_r34_bilinear_2xb8-180k_comp1k.py'

model = dict(upsample_cfg=dict(type='fade', up_kernel=5, compressed_channels=64, gate=False))
