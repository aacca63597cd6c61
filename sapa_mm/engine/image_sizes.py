"""The sizes that a config gives its images."""

import math
from collections.abc import Iterator
from typing import Any

from mmengine.config import Config
from mmengine.registry import DATASETS

from ..datasets.checks.report import ReportLine
from ..datasets.checks.truths import TRUTHS, truth_of
from ..utils.configs import datasets_of, type_name

#: How mmseg's models predict a test image; in another mode they fail on the first one.
_MODES = {
    'EncoderDecoder': ('whole', 'slide'),
    'DepthEstimator': ('whole', 'slide', 'slide_flip'),
}
#: The share of padding in a training image from which on it is told.
_MUCH_PADDING = 0.25
#: Of how many test batches the first and the last image are compared.
_SOME_BATCHES = 4


def find_size_problems(cfg: Config, splits: tuple[str, ...]) -> Iterator[ReportLine]:
    """Find sizes of a segmentor or a matting model that contradict each other.

    Args:
        cfg (Config): The config.
        splits (tuple[str]): What a run reads: 'train', 'val', 'test'.

    Yields:
        ReportLine: Each error or note.
    """
    yield from _test_mode(cfg, splits)
    if 'train' in splits:
        yield from _padding(cfg)
    pads_no_tests = type_name(_preprocessor(cfg).get('type')) == 'SegDataPreProcessor'
    if pads_no_tests or truth_of(cfg.model) is TRUTHS['matting']:
        for split in splits:
            if split != 'train':
                yield from _mixed_batches(cfg, f'{split}_dataloader')


def _test_mode(cfg: Config, splits: tuple[str, ...]) -> Iterator[ReportLine]:
    test_cfg, kind = cfg.model.get('test_cfg'), type_name(cfg.model.get('type'))
    if not isinstance(test_cfg, dict):
        return
    mode = test_cfg.get('mode')
    is_tested = any(cfg.get(f'{split}_dataloader') for split in splits if split != 'train')
    if is_tested and mode not in _MODES.get(kind, (mode,)):
        text = f'model.test_cfg.mode must be one of {", ".join(_MODES[kind])} for {kind}'
        yield ReportLine('error', f'{text}, got {mode!r}')
    if mode not in ('slide', 'slide_flip'):
        return
    crop, stride = (_pair(test_cfg.get(key)) for key in ('crop_size', 'stride'))
    if crop is None or stride is None:
        text = f'must have crop_size and stride, (height, width) each, for the mode {mode}'
        yield ReportLine('error', f'model.test_cfg {text}, it is {test_cfg}')
    elif stride[0] > crop[0] or stride[1] > crop[1]:
        text = f'stride {stride} must not exceed crop_size {crop}: pixels between crops'
        yield ReportLine('error', f'model.test_cfg: {text} have no prediction')
    elif mode == 'slide' and kind == 'DepthEstimator':
        text = 'DepthEstimator throws the windows away and predicts whole images'
        yield ReportLine('note', f'model.test_cfg.mode slide: {text}; FlipDepthEstimator does not')


def _preprocessor(cfg: Config) -> dict:
    return cfg.model.get('data_preprocessor') or cfg.get('data_preprocessor') or {}


def _mixed_batches(cfg: Config, key: str) -> Iterator[ReportLine]:
    """Find a batch with images of two sizes, which nothing pads in tests."""
    loader = cfg.get(key) or {}
    batch_size = loader.get('batch_size', 1)
    if not isinstance(batch_size, int) or batch_size < 2:
        return
    try:
        dataset = DATASETS.build(loader['dataset'])
        starts = range(0, len(dataset), batch_size)
        for start in starts[:: math.ceil(len(starts) / _SOME_BATCHES)]:
            ends = (start, min(start + batch_size, len(dataset)) - 1)
            sizes = [tuple(dataset[index]['inputs'].shape[1:]) for index in ends]
            if sizes[0] != sizes[1]:
                break
        else:
            return
    except Exception:
        return  # the checks of the dataset say it
    images = ' and '.join(
        f'{dataset.get_data_info(index)["img_path"]} {size}'
        for index, size in zip(ends, sizes, strict=True)
    )
    text = f'is {batch_size}, but images of one batch have two sizes (height, width), such as'
    yield ReportLine('error', f'{key}.batch_size {text} {images}: set it to 1')


def _padding(cfg: Config) -> Iterator[ReportLine]:
    """Compare the size to which mmseg pads training images with that of the crops."""
    key = 'model.data_preprocessor'
    preprocessor = _preprocessor(cfg)
    if type_name(preprocessor.get('type')) != 'SegDataPreProcessor':
        return
    for name, part in ((key, preprocessor), (f'{key}.test_cfg', preprocessor.get('test_cfg'))):
        size, divisor = ((part or {}).get(kind) for kind in ('size', 'size_divisor'))
        if part and (size is None) == (divisor is None):
            text = f'size {size} and size_divisor {divisor}'
            yield ReportLine('error', f'{name} must have one of size and size_divisor, got {text}')
            return
        if size is not None and _pair(size) is None:
            yield ReportLine('error', f'{name}.size must be (height, width), got {size!r}')
            return
    size, divisor = _pair(preprocessor.get('size')), preprocessor.get('size_divisor')
    for place, crop in training_sizes(cfg):
        divisor = divisor or 1
        least = size or tuple(math.ceil(side / divisor) * divisor for side in crop)
        padded = [max(pair) for pair in zip(least, crop, strict=True)]
        share = 1 - math.prod(crop) / math.prod(padded)
        own = f'size is {size}' if size else f'size_divisor is {divisor}'
        text = f'{key}.{own}, {place} {crop} (height, width)'
        if share >= _MUCH_PADDING or (size and share):
            yield ReportLine('note', f'{text}: {share:.0%} of each training image is padding')
        elif size and size != crop:
            yield ReportLine('note', f'{text}: smaller images are padded to that size only')


def training_sizes(cfg: Config) -> Iterator[tuple[str, tuple[int, int]]]:
    """Find the size of the training images, where the last step that changes it fixes it.

    Args:
        cfg (Config): The config.

    Yields:
        tuple[str, tuple[int, int]]: For each dataset the key of the size, and (H, W) in pixels.
    """
    for name, dataset in datasets_of(cfg, 'train'):
        for index, step in reversed(list(enumerate(dataset.get('pipeline') or ()))):
            kind, size = type_name(step.get('type')), None
            if kind in ('RandomCrop', 'CropAroundUnknown'):
                option, size = 'crop_size', _pair(step.get('crop_size'), or_one=True)
            elif kind == 'Resize' and not step.get('keep_ratio'):
                option, size = 'scale', _pair(step.get('scale'), or_one=True)
                size = size and size[::-1]  # it is (width, height)
            elif 'Resize' not in kind and 'Mosaic' not in kind and kind not in ('Pad', 'FixedCrop'):
                continue
            if size is not None:
                yield f'{name}.pipeline.{index}.{option}', size
            break


def _pair(size: Any, or_one: bool = False) -> tuple[int, int] | None:
    """Two sides in pixels; None for anything else. One number may stand for both."""
    sides = (size, size) if or_one and isinstance(size, int) else size
    if not isinstance(sides, (list, tuple)) or len(sides) != 2:
        return None
    if not all(isinstance(side, int) and side > 0 for side in sides):
        return None
    return (sides[0], sides[1])
