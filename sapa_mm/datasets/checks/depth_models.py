"""Whether the model, the data and the metrics of a config are all of depth, or none of them is."""

import inspect
import math
import warnings
from collections.abc import Collection, Iterator
from typing import Any

from mmengine.config import Config
from mmengine.dataset import Compose
from mmengine.registry import METRICS, MODELS

from ...utils.configs import datasets_of, loads_labels, nested_configs, type_name
from ...utils.text import one_line
from .dataset_config import default_of, find_class, is_known_step
from .depth_maps import DepthRange
from .depth_pipelines import find_padding_problems
from .loading import format_size
from .report import ReportLine
from .truths import DEPTH, TRUTHS, is_known, metrics_of, truth_of

_DEPTH_HEADS = {'UpsampleDenseDepthHead', 'VPDDepthHead'}
_DEPTH_LOSSES = {'SigLoss', 'SiLogLoss'}


def depth_range(cfg: Config, split: str) -> DepthRange:
    """Find what the model and the metrics of a split expect of depth maps.

    Args:
        cfg (Config): The config. Its default scope must be the current one.
        split (str): 'train', 'val' or 'test'.

    Returns:
        DepthRange: That; nothing for a model that does not give depth.
    """
    model, crop = cfg.get('model'), ''
    if truth_of(model) != DEPTH:
        return DepthRange()
    for key, metric, _ in metrics_of(cfg, split):
        if metric.get('crop_type') == 'nyu_crop':
            crop = f'{key}.crop_type=nyu_crop'
    for key, head in nested_configs(model, 'model'):
        if key.endswith('decode_head'):
            kind = find_class(MODELS, head.get('type'))
            highest = head.get('max_depth', default_of(kind, 'max_depth'))
            if isinstance(highest, (int, float)) and highest > 0:
                return DepthRange(f'{key}.max_depth', highest, crop)
    return DepthRange(eigen_crop=crop)


def find_depth_model_problems(model: Any, splits: Collection[str]) -> Iterator[ReportLine]:
    """Find parts for label maps in a depth estimator, and parts for depth in a segmentor.

    Args:
        model (dict, optional): Its config. Its default scope must be the current one.
        splits (Collection[str]): What a run reads: 'train', 'val', 'test'.

    Yields:
        ReportLine: The errors.
    """
    truth = truth_of(model)
    for key, part in nested_configs(model, 'model') if truth else ():
        kind = find_class(MODELS, part.get('type'))
        bases = {base.__name__ for base in inspect.getmro(kind or object)}
        is_depth_head = bool(bases & _DEPTH_HEADS)
        is_head = key.endswith('decode_head') and 'BaseDecodeHead' in bases and is_known(kind)
        if is_head and is_depth_head != (truth == DEPTH):
            maps = (DEPTH if is_depth_head else TRUTHS['segmentation']).maps
            advice = 'model.type FlipDepthEstimator' if is_depth_head else 'UpsampleDenseDepthHead'
            text = f'{kind.__name__} gives {maps}, the model {truth.maps}; take {advice}'
            yield ReportLine('error', f'{key}: {text}')
        is_loss = '.decode_head.loss_decode' in key and is_known(kind)
        if truth == DEPTH and is_loss and kind.__name__ not in _DEPTH_LOSSES:
            yield ReportLine('error', f'{key}: {kind.__name__} is for label maps; take SigLoss')
        if truth == DEPTH and 'train' in splits:
            yield from find_padding_problems(part, kind, key)


def find_depth_metric_problems(cfg: Config, split: str) -> Iterator[ReportLine]:
    """Find metrics of depth that fail, or evaluate depths that the model never gives.

    Args:
        cfg (Config): The config. Its default scope must be the current one.
        split (str): 'val' or 'test'.

    Yields:
        ReportLine: Errors and notes.
    """
    if truth_of(cfg.get('model')) not in (None, DEPTH):
        return
    for key, metric, truth in metrics_of(cfg, split):
        if truth == DEPTH:
            kind = find_class(METRICS, metric['type'])
            yield from _depth_metric_problems(cfg, split, key, metric, kind)


def _depth_metric_problems(
    cfg: Config, split: str, key: str, metric: dict, kind: type
) -> Iterator[ReportLine]:
    if kind.__name__ == 'DepthMetric' and metric.get('depth_metrics') is not None:
        text = 'DepthMetric of mmseg fails with it; leave it out, or take MonocularDepthMetric'
        yield ReportLine('error', f'{key}.depth_metrics: {text}')
        return
    try:
        # It would make the folder, and warn that it has no prefix.
        METRICS.build({**metric, 'output_dir': None, 'prefix': 'depth'})
    except Exception as error:
        yield ReportLine('error', f'{key}: {one_line(error)}')
        return
    for name, dataset in datasets_of(cfg, split) if split == 'val' else ():
        steps = dataset.get('pipeline') or []
        if steps and not loads_labels(steps) and all(map(is_known_step, steps)):
            text = f'{kind.__name__} needs depth maps, {name}.pipeline loads none'
            yield ReportLine('error', f'{key}: {text}; take LoadDepthAnnotation')
    expected = depth_range(cfg, split)
    highest = metric.get('max_depth_eval', default_of(kind, 'max_depth_eval'))
    if not isinstance(highest, (int, float)):
        text = f'must be a number, got {highest!r}'
        yield ReportLine('error', f'{key}.max_depth_eval {text}')
    elif math.inf > highest > expected.highest:
        text = f'{key}.max_depth_eval is {highest:g}, {expected.key} {expected.highest:g}'
        yield ReportLine('note', f'{text}: the model reaches no depth between them')


def find_truth_problems(
    config: dict, name: str, dataset: Any, index: int, model: Any
) -> Iterator[ReportLine]:
    """Send an image through the whole pipeline, and look at the depth map that comes with it.

    Nothing is done where neither the model nor the pipeline is of depth.

    Args:
        config (dict): The config of a dataset.
        name (str): The key of this config.
        dataset (BaseDataset): The dataset.
        index (int): The image.
        model (dict, optional): The config of the model.

    Yields:
        ReportLine: An error if a step fails, the model cannot learn from what comes, or sizes do
        not fit.
    """
    truth, steps = truth_of(model), config.get('pipeline') or []
    if truth != DEPTH and not any('Depth' in type_name(step.get('type')) for step in steps):
        return
    path = dataset.get_data_info(index)['img_path']
    try:
        with warnings.catch_warnings():
            warnings.simplefilter('ignore')
            data = Compose(steps)(dataset.get_data_info(index))
    except Exception as error:
        yield ReportLine('error', f'{name}.pipeline fails for {path}: {one_line(error)}')
        return
    if data is not None and 'data_samples' not in data and truth is not None:
        text = 'it gives no data_samples; end it with PackSegInputs'
        yield ReportLine('error', f'{name}.pipeline: {text}')
    if data is None or 'data_samples' not in data:
        return
    samples, inputs = data['data_samples'], data['inputs']
    loaded = [one.maps for one in TRUTHS.values() if one.key in samples]
    is_train = name.startswith('train')
    if truth is not None and truth.key not in samples and (is_train or loaded):
        there = f'it loads {loaded[0]}' if loaded else 'it loads none'
        text = f'the model learns from {truth.maps}, {there}; take {truth.step}, and data to match'
        yield ReportLine('error', f'{name}.pipeline: {text}')
    if DEPTH.key not in samples:
        return
    size = tuple(samples.gt_depth_map.data.shape[-2:])
    wanted = tuple(inputs.shape[-2:]) if is_train else samples.metainfo.get('ori_shape', size)[:2]
    if size != tuple(wanted):
        text = f'the depth map of {path} comes out as {format_size(size[::-1])}, its '
        text += f'{"image" if is_train else "prediction"} as {format_size(wanted[::-1])} (width x '
        text += 'height)' + '; load depth maps after the steps that resize images' * (not is_train)
        yield ReportLine('error', f'{name}.pipeline: {text}')
