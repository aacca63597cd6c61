# A Panoptic FPN small enough to be trained from scratch on a CPU in minutes.
_base_ = [
    '../_base_/models/panoptic-fpn_r50.py',
    '../_base_/models/small_detector.py',
    '../_base_/datasets/scenes_panoptic_160x160.py',
    '../_base_/schedules/small_detection_300.py',
    '../_base_/detection_runtime_by_iteration.py',
]

model = dict(
    type='PanopticFPNWithInstances',
    backbone=_base_.small_backbone,
    neck=_base_.small_neck,
    rpn_head=_base_.small_rpn_head,
    roi_head=dict(
        bbox_roi_extractor=dict(out_channels=64),
        bbox_head=_base_.small_bbox_head,
        mask_roi_extractor=dict(out_channels=64),
        mask_head=_base_.small_mask_head,
    ),
    semantic_head=dict(
        num_things_classes=6, num_stuff_classes=5, in_channels=64, inner_channels=64
    ),
    panoptic_fusion_head=dict(num_things_classes=6, num_stuff_classes=5),
    train_cfg=_base_.small_train_cfg,
    test_cfg=dict(
        # Average precision takes the low scores, the panoptic map the high ones.
        rcnn=dict(score_thr=0.05),
        panoptic=dict(score_thr=0.6, stuff_area_limit=64),
        **_base_.small_test_cfg,
    ),
)
