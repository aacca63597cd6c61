# Table 10, normalisation: none
_base_ = './segformer_mit-b1_sapa-b_8xb2-80k_ade20k-512x512.py'

model = dict(decode_head=dict(upsample_cfg=dict(similarity_norm='none')))
