_base_ = './detection_runtime.py'

log_processor = dict(by_epoch=False)
default_hooks = dict(
    logger=dict(log_metric_by_epoch=False),
    checkpoint=dict(by_epoch=False, interval=100),
)
randomness = dict(seed=0)
