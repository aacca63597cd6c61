# Table 12, offset DOF s², grid
_base_ = './segformer_mit-b1_sapa-d_8xb2-80k_ade20k-512x512.py'

model = dict(decode_head=dict(upsample_cfg=dict(shared_offset=False, offset_init='grid')))
