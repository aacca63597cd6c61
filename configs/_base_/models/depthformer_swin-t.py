# DepthFormer (Li et al., 2022): Swin-T beside a convolution stem at half the size of the image, the
# HAHI neck, in which the levels attend to one another, and a decoder of four steps of upsampling.
checkpoint = 'https://download.openmmlab.com/mmsegmentation/v0.5/pretrain/swin/swin_tiny_patch4_window7_224_20220317-1cdeb081.pth'
model = dict(
    type='FlipDepthEstimator',
    data_preprocessor=dict(
        type='SegDataPreProcessor',
        mean=[123.675, 116.28, 103.53],
        std=[58.395, 57.12, 57.375],
        bgr_to_rgb=True,
        pad_val=0,
        seg_pad_val=0,  # no measurement; mmseg's 255 would be a depth
        size=(416, 544),
    ),
    backbone=dict(
        type='StemSwinTransformer',
        stem_channels=64,
        embed_dims=96,
        depths=(2, 2, 6, 2),
        num_heads=(3, 6, 12, 24),
        window_size=7,
        mlp_ratio=4,
        drop_path_rate=0.3,
        init_cfg=dict(type='Pretrained', checkpoint=checkpoint),
    ),
    neck=dict(
        type='HAHINeck',
        in_channels=[64, 96, 192, 384, 768],
        embed_dims=256,
        num_heads=8,
        num_points=8,
    ),
    # Depth is ReLU + 0.001. From some random starts the ReLU falls to 0 everywhere, and the loss
    # stays near 3: start again with another seed, or with warm_up=True in loss_decode.
    decode_head=dict(
        type='UpsampleDenseDepthHead',
        in_channels=[64, 96, 192, 384, 768],
        min_depth=1e-3,
        max_depth=10.0,
        scale_up=False,
        align_corners=True,
        loss_decode=dict(type='SigLoss', loss_weight=1.0),
        upsample_cfg=dict(type='bilinear'),
    ),
    train_cfg=dict(),
    test_cfg=dict(mode='whole_flip'),
)
