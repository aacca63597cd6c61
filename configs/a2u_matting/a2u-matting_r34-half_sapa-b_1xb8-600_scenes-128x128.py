_base_ = './a2u-matting_r34-half_bilinear_1xb8-600_scenes-128x128.py'

model = dict(upsample_cfg=dict(type='sapa_b', embed_dims=16, pre_norm=True))
