# A2U matting (Dai et al., 2021) with 2x2 max pooling in place of its own downsampling: ResNet-34,
# ASPP and a decoder of four steps of upsampling.
model = dict(
    type='A2UMatting',
    data_preprocessor=dict(
        type='MattingDataPreprocessor',
        mean=[123.675, 116.28, 103.53],
        std=[58.395, 57.12, 57.375],
        bgr_to_rgb=True,
    ),
    base_channels=64,
    blocks=(3, 4, 4),
    upsample_cfg=dict(type='bilinear'),
    loss_alpha=dict(type='AlphaLoss', loss_weight=0.5),
    loss_comp=dict(type='CompositionLoss', loss_weight=0.5),
    # Without the last stages and blocks; the trimap's channel is 0.
    init_cfg=dict(
        type='Pretrained',
        checkpoint='https://download.pytorch.org/models/resnet34-b627a593.pth',
    ),
)
