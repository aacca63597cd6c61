_base_ = './a2u-matting_r34-half_bilinear_1xb8-600_scenes-128x128.py'

model = dict(upsample_cfg=dict(type='sapa_i', pre_norm=True))
