_base_ = './depthformer_swin-mini_bilinear_1xb8-1500_scenes-128x128.py'

model = dict(decode_head=dict(upsample_cfg=dict(type='index_net', variant='hin')))
