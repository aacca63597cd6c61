custom_imports = dict(
    imports=['sapa_mm.matting', 'sapa_mm.engine'],
    allow_failed_imports=False,
)
default_scope = 'mmengine'
env_cfg = dict(
    cudnn_benchmark=True,
    mp_cfg=dict(mp_start_method='fork', opencv_num_threads=0),
    dist_cfg=dict(backend='nccl'),
)
vis_backends = [dict(type='LocalVisBackend')]
visualizer = dict(type='Visualizer', vis_backends=vis_backends, name='visualizer')
log_processor = dict(by_epoch=False)
log_level = 'INFO'
load_from = None
resume = False

custom_hooks = [dict(type='RandomStateHook')]
default_hooks = dict(
    timer=dict(type='IterTimerHook'),
    logger=dict(type='LoggerHook', interval=50, log_metric_by_epoch=False),
    param_scheduler=dict(type='ParamSchedulerHook'),
    checkpoint=dict(
        type='CheckpointHook',
        by_epoch=False,
        interval=6000,
        max_keep_ckpts=2,
        save_best='SAD',
        rule='less',
    ),
    sampler_seed=dict(type='DistSamplerSeedHook'),
)
