# Table 3, IndexNet
_base_ = './segformer_mit-b1_bilinear_8xb2-80k_ade20k-512x512.py'

model = dict(decode_head=dict(upsample_cfg=dict(type='index_net', variant='hin')))
