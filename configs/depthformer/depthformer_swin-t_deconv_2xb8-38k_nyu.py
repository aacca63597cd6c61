# Table 9, Deconv
_base_ = './depthformer_swin-t_bilinear_2xb8-38k_nyu.py'

model = dict(decode_head=dict(upsample_cfg=dict(type='deconv', kernel_size=3)))
