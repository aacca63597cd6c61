# Table 9, Bilinear
_base_ = [
    '../_base_/models/depthformer_swin-t.py',
    '../_base_/datasets/nyu_416x544.py',
    '../_base_/schedules/depthformer_38k.py',
    '../_base_/depth_runtime.py',
]
