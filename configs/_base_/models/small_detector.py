# The parts of a detector that trains from scratch on a CPU in minutes. Things in the scenes are
# 14 to 90 pixels large.
small_backbone = dict(
    depth=18, base_channels=32, stem_channels=32, frozen_stages=-1, norm_eval=False, init_cfg=None
)
small_neck = dict(in_channels=[32, 64, 128, 256], out_channels=64)
small_rpn_head = dict(in_channels=64, feat_channels=64, anchor_generator=dict(scales=[4]))
small_bbox_head = dict(in_channels=64, fc_out_channels=256, num_classes=6)
small_mask_head = dict(num_convs=2, in_channels=64, conv_out_channels=64, num_classes=6)
small_train_cfg = dict(
    rpn_proposal=dict(nms_pre=500, max_per_img=200), rcnn=dict(sampler=dict(num=64))
)
small_test_cfg = dict(rpn=dict(nms_pre=500, max_per_img=200))
