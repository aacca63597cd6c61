_base_ = './segformer_mit-tiny_bilinear_1xb8-300_scenes-128x128.py'

model = dict(decode_head=dict(upsample_cfg=dict(type='index_net', variant='hin')))
