"""The wrapper of a model that several processes train or test on CPUs."""

from mmengine.config import Config
from mmengine.model import MMDistributedDataParallel, revert_sync_batchnorm
from mmengine.registry import MODEL_WRAPPERS
from torch import nn

from ..utils.log import log_warning


@MODEL_WRAPPERS.register_module()
class CPUDistributedDataParallel(MMDistributedDataParallel):
    """mmengine's wrapper, with plain batch norms in place of synchronised ones.

    torch synchronises batch norms only on GPUs.

    Args:
        module (nn.Module): The model.
        **kwargs: Arguments of ``MMDistributedDataParallel``.
    """

    def __init__(self, module: nn.Module, **kwargs) -> None:
        if any(isinstance(part, nn.SyncBatchNorm) for part in module.modules()):
            log_warning(
                'SyncBN works on GPUs only: BN takes its place, with the statistics of one process'
            )
        super().__init__(revert_sync_batchnorm(module), **kwargs)


def use_cpu_wrapper(cfg: Config) -> None:
    """Have a config's model wrapped, which mmengine does on CUDA devices only.

    Args:
        cfg (Config): The config. A wrapper of another kind that it names stays.
    """
    own = cfg.get('model_wrapper_cfg') or {
        'broadcast_buffers': False,
        'find_unused_parameters': cfg.get('find_unused_parameters', False),
    }
    ours = CPUDistributedDataParallel.__name__
    if own.get('type', ours) in (ours, 'MMDistributedDataParallel'):
        cfg.model_wrapper_cfg = {**own, 'type': ours, 'device_ids': None}
