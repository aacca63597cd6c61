# Table 8, IndexNet: M2O with the hidden width that its parameters tell
_base_ = './a2u-matting_r34_bilinear_2xb8-180k_comp1k.py'

model = dict(upsample_cfg=dict(type='index_net', variant='m2o', hidden_ratio=2))
