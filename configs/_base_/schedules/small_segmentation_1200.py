# A fifth of the learning rate for a pretrained MobileNetV2, no weight decay for norms.
blocks = (1, 2, 3, 4, 3, 3, 1)
optim_wrapper = dict(
    type='OptimWrapper',
    optimizer=dict(type='AdamW', lr=1e-3, weight_decay=0.01),
    paramwise_cfg=dict(
        norm_decay_mult=0.0,
        # The longest key that a parameter's name contains is the one that counts.
        custom_keys={
            'backbone': dict(lr_mult=0.2),
            'backbone.conv1.bn': dict(lr_mult=0.2, decay_mult=0.0),
            **{
                f'backbone.layer{layer}.{block}.conv.{conv}.bn': dict(lr_mult=0.2, decay_mult=0.0)
                for layer, count in enumerate(blocks, 1)
                for block in range(count)
                for conv in range(3)
            },
        },
    ),
)
param_scheduler = [
    dict(type='LinearLR', start_factor=1e-2, by_epoch=False, begin=0, end=100),
    dict(type='PolyLR', eta_min=0.0, power=1.0, begin=100, end=1200, by_epoch=False),
]
# The learning rate is for one process with 8 images.
auto_scale_lr = dict(enable=False, base_batch_size=8)

train_cfg = dict(type='IterBasedTrainLoop', max_iters=1200, val_interval=300)
val_cfg = dict(type='ValLoop')
test_cfg = dict(type='TestLoop')
randomness = dict(seed=0)
