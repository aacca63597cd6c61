# 30 epochs of 6000 iterations with 16 images. Encoder and upsampler learn at 1e-4; ASPP and the
# blocks of the decoder (both 'dconv'), skip connections and head at 1e-2.
optim_wrapper = dict(
    type='OptimWrapper',
    optimizer=dict(type='Adam', lr=1e-4, betas=(0.9, 0.999)),
    paramwise_cfg=dict(custom_keys={key: dict(lr_mult=100) for key in ('dconv', 'short', 'pred')}),
)
param_scheduler = [
    dict(type='MultiStepLR', milestones=[120000, 156000], gamma=0.1, by_epoch=False, end=180000)
]
# The learning rates are for 2 GPUs with 8 images each, and batch normalisation over all 16.
auto_scale_lr = dict(enable=False, base_batch_size=16)
sync_bn = 'torch'

train_cfg = dict(type='IterBasedTrainLoop', max_iters=180000, val_interval=6000)
val_cfg = dict(type='ValLoop')
test_cfg = dict(type='TestLoop')
