"""The configs of this repository, each read once in a process."""

import copy
from functools import cache
from pathlib import Path

import torch
from mmengine.config import Config
from mmengine.registry import MODELS
from torch.overrides import TorchFunctionMode

from sapa_mm.engine.config import in_scope

ROOT = Path(__file__).parents[2] / 'configs'
PATHS = {path.stem: path for path in sorted(ROOT.glob('*/*.py')) if path.parent.name != '_base_'}


def names_in(*folders):
    """Names of the configs in these folders of ``configs/``."""
    return [name for name, path in PATHS.items() if path.parent.name in folders]


def load(name):
    """A config by its name, to be changed at will."""
    return copy.deepcopy(_load(name))


@cache
def _load(name):
    return Config.fromfile(PATHS[name])


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
