_base_ = './upernet_r18-small_bilinear_1xb8-300_scenes-128x128.py'

model = dict(
    decode_head=dict(upsample_cfg=dict(type='sapa_d', num_points=9, groups=1, shared_offset=True))
)
