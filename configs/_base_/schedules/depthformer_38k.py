# 38,400 iterations of 16 images, some 25 epochs. Relative positions, layer and group normalisation
# do not decay; all other weights do, with the batch normalisation of stem and neck. Gradients are
# clipped to a norm of 35.
optim_wrapper = dict(
    type='OptimWrapper',
    optimizer=dict(type='AdamW', lr=6e-5, betas=(0.9, 0.999), weight_decay=0.01),
    paramwise_cfg=dict(
        custom_keys={
            'absolute_pos_embed': dict(decay_mult=0.0),
            'relative_position_bias_table': dict(decay_mult=0.0),
            'norm': dict(decay_mult=0.0),
        }
    ),
    clip_grad=dict(max_norm=35, norm_type=2),
)
# The learning rate is a cosine over the whole training, down to 1e-8 of it, times a linear warm-up
# from 1e-3 over the first third: schedulers that overlap are multiplied.
param_scheduler = [
    dict(type='LinearLR', start_factor=1e-3, by_epoch=False, begin=0, end=12800),
    dict(type='CosineAnnealingLR', eta_min_ratio=1e-8, by_epoch=False, begin=0, end=38400),
]
# The learning rate is for 2 GPUs with 8 images each.
auto_scale_lr = dict(enable=False, base_batch_size=16)

train_cfg = dict(type='IterBasedTrainLoop', max_iters=38400, val_interval=1600)
val_cfg = dict(type='ValLoop')
test_cfg = dict(type='TestLoop')
