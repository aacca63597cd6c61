"""Whether a model takes the channels of a dataset's images."""

import warnings
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import torch
from mmengine.dataset import Compose
from mmengine.registry import MODELS

from ...utils.text import one_line
from .dataset_config import default_of, find_class
from .report import ReportLine


def find_channel_problems(
    config: dict, name: str, dataset: Any, images: Mapping[int, Sequence[int]], model: Any
) -> Iterator[ReportLine]:
    """Send one image of each number of channels through the whole pipeline, up to the backbone.

    Args:
        config (dict): The config of the dataset.
        name (str): The key of this config.
        dataset (BaseDataset): The dataset.
        images (dict[int, list[int]]): Its images, by their number of channels.
        model (dict, optional): The config of the model.

    Yields:
        ReportLine: An error if a step fails, or channels do not fit.
    """
    count = sum(map(len, images.values()))
    expected = _in_channels(model)
    groups: dict[int, str] = {}
    for channels, indices in images.items():
        path = dataset.get_data_info(indices[0])['img_path']
        try:
            with warnings.catch_warnings():
                warnings.simplefilter('ignore')
                pipeline = Compose(config.get('pipeline') or [])
            data = pipeline(dataset.get_data_info(indices[0]))
        except Exception as error:
            yield ReportLine('error', f'{name}.pipeline fails for {path}: {one_line(error)}')
            return
        if data is None or not isinstance(data.get('inputs'), torch.Tensor):
            continue
        some = (
            f'{len(indices):,} of {count:,} images opened have {channels} channels (such as {path})'
        )
        groups[len(data['inputs'])] = some
        if expected is None:
            continue
        try:
            given = _preprocess(model, data)
        except Exception as error:
            text = f'model.data_preprocessor (mean, std, bgr_to_rgb): {one_line(error)}'
            text += f'; model.backbone.in_channels is {expected}, {some}'
            yield ReportLine('error', f'{name}: {text}')
            continue
        if given != expected:
            text = f'model.backbone.in_channels is {expected}, but {given} channels reach it'
            yield ReportLine('error', f'{name}: {text}: {some}')
    if len(groups) > 1:
        # One by one they may pass, normalized as the first of a batch is or not at all.
        kind = 'error' if name.startswith('train') else 'note'
        text = f'images differ in channels, set color_type: {", ".join(groups.values())}'
        yield ReportLine(kind, f'{name}: {text}')


def _in_channels(model: Any) -> int | None:
    """Get ``in_channels`` of the backbone, from its config or the default of its class."""
    backbone = (model or {}).get('backbone') or {}
    if 'in_channels' in backbone:
        return backbone['in_channels']
    return default_of(find_class(MODELS, backbone.get('type')), 'in_channels')


def _preprocess(model: dict, data: dict) -> int:
    """Normalize a corner of an image, and count its channels."""
    inputs = data['inputs'][..., :32, :32]
    if model.get('data_preprocessor') is None:
        return len(inputs)
    preprocessor = MODELS.build(model['data_preprocessor'])
    batch = {'inputs': [inputs], 'data_samples': [data.get('data_samples')]}
    return preprocessor(batch, training=False)['inputs'].shape[1]
