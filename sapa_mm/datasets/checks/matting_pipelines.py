"""What a pipeline makes of mattes, seen from its config and from a few samples."""

import inspect
import warnings
from collections.abc import Iterator, Sequence
from typing import Any

import torch
from mmengine.dataset import Compose
from mmengine.registry import TRANSFORMS

from ...utils.configs import nested_configs
from ...utils.seeding import seeded
from ...utils.text import one_line
from .dataset_config import DatasetConfig, find_class
from .depth_pipelines import BLIND_STEPS
from .loading import format_size
from .report import ReportLine
from .truths import TRUTHS, truth_of

#: What the losses need, and the steps that make it.
_MADE_BY = {
    'trimap': 'GenerateTrimap',
    'gt_alpha': 'LoadFgAndBg',
    'gt_fg': 'LoadFgAndBg',
    'gt_bg': 'LoadFgAndBg',
    'gt_merged': 'MergeFgAndBg',
}
#: Mean difference between alpha and the known pixels of its trimap: borders that are drawn by hand
#: stay below.
DIFFERENT = 0.05
#: Rounding an image to 8 bits, and more, stays below.
_ROUNDED = 2.5 / 255


def find_matting_problems(dataset: dict, name: str) -> Iterator[ReportLine]:
    """Find steps that move an image but not its trimap and mattes, from the config alone.

    Args:
        dataset (dict): The config of a dataset that is no wrapper of others.
        name (str): The key of this config.

    Yields:
        ReportLine: An error for each.
    """
    if DatasetConfig(dataset, name).loader != 'MattingDataset':
        return
    for key, step in nested_configs(dataset.get('pipeline'), f'{name}.pipeline'):
        kind = find_class(TRANSFORMS, step['type']) if 'type' in step else None
        if not inspect.isclass(kind) or kind.__module__.partition('.')[0] != 'mmcv':
            continue
        if kind.__name__ in BLIND_STEPS:
            text = f"mmcv's {kind.__name__} moves the pixels of images, but not of trimaps and "
            yield ReportLine('error', f'{key}: {text}mattes')
        if kind.__name__ == 'Normalize':
            text = 'Normalize comes before that of model.data_preprocessor; leave it out'
            yield ReportLine('error', f'{key}: {text}')


def run_steps(dataset: Any, steps: Sequence[dict], index: int) -> Any:
    """Run steps on a sample, which draws the same each time, and leaves the random state as it was.

    Args:
        dataset (MattingDataset): The dataset.
        steps (Sequence[dict]): The configs of the steps.
        index (int): The sample.

    Returns:
        Any: What the last step returns.
    """
    with seeded(index), warnings.catch_warnings():
        warnings.simplefilter('ignore')
        dataset.pipeline = Compose(steps)
        return dataset.prepare_data(index)


def find_matting_pipeline_problems(
    config: dict, name: str, dataset: Any, indices: Sequence[int], model: Any
) -> Iterator[ReportLine]:
    """Send a few images through the whole pipeline, and look at what comes out.

    Args:
        config (dict): The config of a dataset.
        name (str): The key of this config.
        dataset (MattingDataset): The dataset.
        indices (Sequence[int]): The images.
        model (dict, optional): The config of the model.

    Yields:
        ReportLine: The first error: a step fails, the model cannot learn from what comes, or maps
        do not fit each other.
    """
    key, truth, sizes = f'{name}.pipeline', truth_of(model), {}
    if truth not in (None, TRUTHS['matting']):
        text = f'the model learns from {truth.maps}, MattingDataset gives alpha mattes'
        yield ReportLine('error', f'{name}: {text}')
        return
    for index in indices:
        path = dataset.get_data_info(index)['img_path']
        try:
            data = run_steps(dataset, config.get('pipeline') or [], index)
        except Exception as error:
            reason = one_line(error).removeprefix('ValueError: ')  # those of ours say enough
            yield ReportLine('error', f'{key} fails for {path}: {reason}')
            return
        if not isinstance(data, dict) or 'data_samples' not in data:
            text = 'it gives no data_samples; end it with PackMattingInputs'
            yield ReportLine('error', f'{key}: {text}')
            return
        is_train = name.startswith('train')
        if text := _find_wrong(data['inputs'], data['data_samples'], is_train):
            yield ReportLine('error', f'{key}: {text} ({path})')
            return
        sizes[tuple(data['inputs'].shape[-2:])] = path
    if len(sizes) > 1 and name.startswith('train'):
        text = 'images of a batch must have one size, they come out as '
        some = [f'{format_size(size[::-1])} ({path})' for size, path in sizes.items()][:2]
        text += f'{" and ".join(some)}; take CropAroundUnknown'
        yield ReportLine('error', f'{key}: {text}')


def _find_wrong(inputs: torch.Tensor, sample: Any, is_train: bool) -> str | None:
    """Tell what is wrong with a packed sample."""
    for field, step in _MADE_BY.items():
        if field not in sample and (is_train or field == 'trimap'):
            step = step if is_train else 'LoadTrimap'
            what = 'the losses need' if is_train else 'the model needs'
            return f'{what} {field}, it gives none; take {step}'
    size = tuple(inputs.shape[-2:])
    for field in _MADE_BY:
        if field in sample and (other := tuple(sample.get(field).data.shape[-2:])) != size:
            sizes = format_size(other[::-1]), format_size(size[::-1])
            return f'{field} comes out as {sizes[0]}, its image as {sizes[1]} (width x height)'
    stored = tuple(sample.metainfo.get('ori_shape', size)[:2])
    if not is_train and stored != size:
        sizes = format_size(size[::-1]), format_size(stored[::-1])
        return f'the image comes out as {sizes[0]}, its file is {sizes[1]} (width x height)'
    trimap = sample.trimap.data
    if others := set(trimap.unique().tolist()) - {0, 128, 255}:
        return f'a step mixes the values of the trimap, got {min(others)}; resize it by nearest'
    low, high = float(inputs.min()), float(inputs.max())
    if not (0 <= low <= high <= 255) or (inputs.is_floating_point() and 0 < high <= 1):
        return (
            f'images must be in 0..255, as model.data_preprocessor takes them, got {low:.3g} to '
            f'{high:.3g}'
        )
    if 'gt_alpha' in sample:
        alpha = sample.gt_alpha.data
        low, high = float(alpha.min()), float(alpha.max())
        if not 0 <= low <= high <= 1:
            return f'gt_alpha must be in [0, 1], got {low:.3g} to {high:.3g}'
        return _find_wrong_layers(inputs, sample, alpha) if is_train else None
    return None


def _find_wrong_layers(inputs: torch.Tensor, sample: Any, alpha: torch.Tensor) -> str | None:
    trimap = sample.trimap.data
    known = trimap != 128
    if known.any() and (alpha - trimap / 255)[known].abs().mean() > DIFFERENT:
        return 'the trimap contradicts gt_alpha where it is known; a step changes one of them alone'
    fg, bg, merged = (sample.get(field).data for field in ('gt_fg', 'gt_bg', 'gt_merged'))
    error = float((alpha * fg + (1 - alpha) * bg - merged).abs().max())
    if error > _ROUNDED:
        return (
            'a step changes a layer after MergeFgAndBg: the image differs from alpha * fg + '
            f'(1 - alpha) * bg by up to {255 * error:.0f} of 255'
        )
    error = float((inputs / 255 - merged).abs().max())
    if error > _ROUNDED:
        return f'inputs and gt_merged differ by up to {255 * error:.0f} of 255'
    return None
