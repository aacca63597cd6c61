"""Batch norm over a single value: a batch of one image whose feature map is 1 x 1."""

import contextlib
import io
import math
from collections.abc import Iterator, Mapping
from typing import Any

import torch
from mmengine.config import Config
from mmengine.dataset import pseudo_collate
from mmengine.device import get_device
from mmengine.model import revert_sync_batchnorm
from mmengine.registry import DATASETS
from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm

from ..datasets.checks.report import ReportLine
from ..upsamplers import Upsampler
from ..utils.configs import type_name
from .config import ConfigError, build_model
from .image_sizes import training_sizes
from .processes import count_processes

#: What torch says, of batch norm and of group norm with one channel a group.
_TOO_FEW = 'Expected more than 1 value per channel when training'
_ADVICE = (
    'use 2 images or more a process, larger images, or a norm_cfg without batch statistics, '
    'such as GN'
)


def find_single_values(cfg: Config) -> Iterator[ReportLine]:
    """Find a batch norm that cannot train because a batch has one value for each channel.

    Where a process gets one image, in every batch or in the last one of an epoch, the model's loss
    of the first training image is computed.

    Args:
        cfg (Config): The config. Its default scope must be the current one.

    Yields:
        ReportLine: An error, if there is such a batch norm.
    """
    if cfg.get('launcher', 'none') == 'none' and cfg.get('processes', 1) > 1:
        return  # a row of a table, whose processes look for themselves
    loader = cfg.get('train_dataloader') or {}
    batch_size: int = loader.get('batch_size', 1)
    processes = count_processes(cfg)
    # mmengine's sampler gives each process the same number of images.
    has_rest = type_name((loader.get('sampler') or {}).get('type')) == 'DefaultSampler'
    if batch_size != 1 and (not has_rest or loader.get('drop_last')):
        return
    is_synchronised = processes > 1 and get_device() != 'cpu'
    if is_synchronised and cfg.get('sync_bn'):
        return  # batch norms have the values of all processes
    try:
        model = build_model(cfg).train()
    except ConfigError:
        return  # told elsewhere
    if not is_synchronised:
        model = revert_sync_batchnorm(model)
    norms = {
        name: norm
        for name, norm in model.named_modules()
        if isinstance(norm, _BatchNorm) and norm.training
    }
    for norm in norms.values():
        if isinstance(norm, nn.SyncBatchNorm):
            norm.eval()  # it has the values of all processes
    if not norms:
        return
    try:
        # pycocotools prints its progress.
        with contextlib.redirect_stdout(io.StringIO()):
            dataset = DATASETS.build(loader['dataset'])
        count = math.ceil(len(dataset) / processes)
        end = (cfg.get('train_cfg') or {}).get('max_iters', math.inf)
        if batch_size != 1 and (count % batch_size != 1 or end <= count // batch_size):
            return
        found = _train_on(model, dataset[0], norms)
    except Exception:
        return  # the run says it; here any part of the config may be wrong
    if found is not None:
        name, shape, image = found
        # What sets the size of the training images, as far as it is known.
        sizes = ''.join(f', {key} {size}' for key, size in training_sizes(cfg))
        text = (
            f'batch norm {name} has one value for each channel, {shape}, in training on one image '
            f'of {image} (height, width){sizes}'
        )
        if batch_size == 1:
            text = f'train_dataloader.batch_size is 1: {text}; {_ADVICE}'
        else:
            text = (
                f'train_dataloader.drop_last is not set, and the last batch of an epoch has one '
                f'image ({count} images in batches of {batch_size}): {text}; set it to True'
            )
        yield ReportLine('error', text)


@contextlib.contextmanager
def explain_single_values(cfg: Config) -> Iterator[None]:
    """Turn torch's error in training on a single value into a line on the config.

    Args:
        cfg (Config): The config.

    Raises:
        ConfigError: In place of torch's ``ValueError``.
    """
    try:
        yield
    except ValueError as error:
        if _TOO_FEW not in str(error):
            raise
        batch_size = (cfg.get('train_dataloader') or {}).get('batch_size')
        raise ConfigError(
            f'train_dataloader.batch_size is {batch_size}, and a batch had one image whose feature '
            f'map is too small for batch norm ({error}); {_ADVICE}, or drop_last=True if it was '
            'the last batch of an epoch'
        ) from error


def _train_on(
    model: Any, sample: Any, norms: Mapping[str, nn.Module]
) -> tuple[str, tuple[int, ...], tuple[int, ...]] | None:
    """Compute the loss of an image; if a batch norm fails, return its name, input, the image's."""
    entered: list[tuple[str, tuple[int, ...]]] = []
    for name, norm in norms.items():
        norm.register_forward_pre_hook(
            lambda _, inputs, name=name: entered.append((name, tuple(inputs[0].shape)))
        )
        norm.register_forward_hook(lambda *_: entered.clear())
    data = model.data_preprocessor(pseudo_collate([sample]), True)
    try:
        with torch.no_grad():
            model(**data, mode='loss')
    except ValueError as error:
        if _TOO_FEW not in str(error) or not entered:
            raise
        name, shape = entered[-1]
        for part, module in model.named_modules():
            if isinstance(module, Upsampler) and name.startswith(f'{part}.'):
                name = f'{name} ({module.title})'
        return name, shape, tuple(data['inputs'].shape[2:])
    return None
