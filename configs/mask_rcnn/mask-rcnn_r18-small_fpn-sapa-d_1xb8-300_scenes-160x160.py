# Smaller embeddings than Table 2 has, like all of this model.
_base_ = './mask-rcnn_r18-small_fpn-nearest_1xb8-300_scenes-160x160.py'

model = dict(neck=dict(upsample_cfg=dict(type='sapa_d', embed_dims=16, num_points=9, groups=4)))
