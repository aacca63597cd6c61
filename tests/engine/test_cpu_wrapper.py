"""The wrapper of a model on CPUs."""

import pytest

pytest.importorskip('mmengine')

import torch
from mmengine.config import Config
from torch import nn

from sapa_mm.engine.cpu_wrapper import CPUDistributedDataParallel, use_cpu_wrapper


def test_the_wrapper_has_no_devices():
    """Also one that the config sets up."""
    cfg = Config({'find_unused_parameters': True})
    use_cpu_wrapper(cfg)
    assert cfg.model_wrapper_cfg == {
        'type': 'CPUDistributedDataParallel',
        'device_ids': None,
        'broadcast_buffers': False,
        'find_unused_parameters': True,
    }
    own = {'type': 'MMDistributedDataParallel', 'static_graph': True}
    cfg = Config({'model_wrapper_cfg': own})
    use_cpu_wrapper(cfg)
    assert cfg.model_wrapper_cfg == {
        'type': 'CPUDistributedDataParallel',
        'device_ids': None,
        'static_graph': True,
    }
    cfg = Config({'model_wrapper_cfg': {'type': 'Other'}})
    use_cpu_wrapper(cfg)
    assert cfg.model_wrapper_cfg == {'type': 'Other'}


def test_batch_norms_of_processes_on_cpus(tmp_path):
    torch.distributed.init_process_group(
        'gloo', store=torch.distributed.FileStore(str(tmp_path / 'store')), rank=0, world_size=1
    )
    try:
        model = CPUDistributedDataParallel(nn.Sequential(nn.Conv2d(1, 2, 1), nn.SyncBatchNorm(2)))
        assert not any(isinstance(part, nn.SyncBatchNorm) for part in model.modules())
        assert model(torch.ones(2, 1, 3, 3)).shape == (2, 2, 3, 3)
    finally:
        torch.distributed.destroy_process_group()
