_base_ = './a2u-matting_r34-half_bilinear_1xb8-600_scenes-128x128.py'

model = dict(upsample_cfg=dict(type='index_net', variant='m2o', hidden_ratio=2))
