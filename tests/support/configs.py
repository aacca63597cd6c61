"""The configs of this repository, each read once in a process, and their models."""

import copy
from functools import cache
from pathlib import Path

import torch
from mmengine.registry import MODELS
from torch.overrides import TorchFunctionMode

from sapa_mm.engine.config import in_scope, read_config

CONFIGS = Path(__file__).parents[2] / 'configs'
PATHS = {path.stem: path for path in sorted(CONFIGS.glob('*/*.py')) if path.parent.name != '_base_'}
# The small models of the scenes, with a place for the upsampler.
SEGFORMER = 'segformer/segformer_mit-tiny_{}_1xb8-300_scenes-128x128.py'
DEPTHFORMER = 'depthformer/depthformer_swin-mini_{}_1xb8-1500_scenes-128x128.py'
A2U_MATTING = 'a2u_matting/a2u-matting_r34-half_{}_1xb8-600_scenes-128x128.py'
UPERNET = 'upernet/upernet_r18-small_{}_1xb8-300_scenes-128x128.py'
PANOPTIC_FPN = 'panoptic_fpn/panoptic-fpn_r18-small_{}_1xb8-300_scenes-160x160.py'
MASK_RCNN = 'mask_rcnn/mask-rcnn_r18-small_fpn-{}_1xb8-300_scenes-160x160.py'
FASTER_RCNN = 'faster_rcnn/faster-rcnn_r18-small_fpn-{}_1xb8-300_scenes-160x160.py'


def names_in(*folders):
    """Names of the configs in these folders of ``configs/``."""
    return [name for name, path in PATHS.items() if path.parent.name in folders]


def load(name):
    """A config by its name, to be changed at will."""
    return copy.deepcopy(_load(name))


@cache
def _load(name):
    return read_config(str(PATHS[name]))


def write_with_safe_loading(name, folder):
    """Write a config with the import that makes loading safe; options come too late for imports."""
    imports = [*load(name).custom_imports.imports, 'sapa_mm.engine.safe_loading']
    path = folder / f'{name}.py'
    path.write_text(f'_base_ = {str(PATHS[name])!r}\ncustom_imports = dict(imports={imports})\n')
    return path


def build_on_meta(name, part='model'):
    """The model of a config, or a part of it such as ``model.neck``, without memory or values."""
    cfg = load(name)
    with in_scope(cfg), torch.device('meta'), _ReadableLinspace():
        for key in part.split('.'):
            cfg = cfg[key]
        return MODELS.build(cfg)


class _ReadableLinspace(TorchFunctionMode):
    """SegFormer's backbone reads its rates of stochastic depth from a tensor."""

    def __torch_function__(self, function, types, args=(), kwargs=None):
        own = {'device': 'cpu'} if function is torch.linspace else {}
        return function(*args, **own, **(kwargs or {}))


def model_files(folder, config, upsampler, seed=0):
    """A config and a checkpoint of random weights."""
    path = CONFIGS / config.format(upsampler)
    cfg = load(path.stem)
    torch.manual_seed(seed)
    with in_scope(cfg):
        model = MODELS.build(cfg.model)
    for part in model.modules():
        # Points that differ from one another, and boxes of some score.
        if hasattr(part, 'select_points'):
            torch.nn.init.normal_(part.offset.weight, std=0.1)
        if hasattr(part, 'fc_cls'):
            torch.nn.init.normal_(part.fc_cls.weight, std=1.0)
    checkpoint = folder / f'{path.stem}_{seed}.pth'
    torch.save({'state_dict': model.state_dict()}, checkpoint)
    return str(path), str(checkpoint)
