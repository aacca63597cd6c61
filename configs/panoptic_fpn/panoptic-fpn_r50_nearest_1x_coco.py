# Table 7, Nearest
_base_ = [
    '../_base_/models/panoptic-fpn_r50.py',
    '../_base_/datasets/coco_panoptic.py',
    '../_base_/schedules/detection_1x.py',
    '../_base_/detection_runtime.py',
]
