# A Mask R-CNN small enough to be trained from scratch on a CPU in minutes.
_base_ = [
    '../_base_/models/mask-rcnn_r50_fpn.py',
    '../_base_/models/small_detector.py',
    '../_base_/datasets/scenes_instance_160x160.py',
    '../_base_/schedules/small_detection_300.py',
    '../_base_/detection_runtime_by_iteration.py',
]

model = dict(
    data_preprocessor=dict(pad_size_divisor=64),
    backbone=_base_.small_backbone,
    neck=dict(type='UpsampleFPNCARAFE', **_base_.small_neck),
    rpn_head=_base_.small_rpn_head,
    roi_head=dict(
        bbox_roi_extractor=dict(out_channels=64),
        bbox_head=_base_.small_bbox_head,
        mask_roi_extractor=dict(out_channels=64),
        mask_head=_base_.small_mask_head,
    ),
    train_cfg=_base_.small_train_cfg,
    test_cfg=_base_.small_test_cfg,
)
