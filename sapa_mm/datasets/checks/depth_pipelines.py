"""What a pipeline does with depth maps, from its config alone."""

import inspect
import math
from collections.abc import Iterator

from mmengine.registry import TRANSFORMS

from ...utils.configs import nested_configs, type_name
from .dataset_config import DatasetConfig, default_of, find_class, is_known_step
from .report import ReportLine

#: How mmseg decodes depth maps.
_BACKENDS = ('cv2', 'numpy', 'nifti', 'pickle')
_PICTURES = ('.png', '.tif', '.tiff', '.exr', '.pfm', '.jpg', '.jpeg')
_BACKEND_OF = {'.npy': 'numpy', **dict.fromkeys(_PICTURES, 'cv2')}
#: Steps of mmcv that move the pixels of images and label maps alone; mmseg has its own of some.
BLIND_STEPS = ('CenterCrop', 'Pad', 'RandomFlip', 'Resize')
#: Parts of the names of steps that move pixels, and of those in albumentations.
_MOVING = ('Crop', 'Flip', 'Mosaic', 'Pad', 'Resize', 'Rot')
_ALBU_MOVING = (*_MOVING, 'Affine', 'Distortion', 'Elastic', 'Perspective', 'Scale', 'Transpose')


def find_depth_loading_problems(dataset: dict, name: str) -> Iterator[ReportLine]:
    """Find ways of loading depth maps that mmseg does not have.

    Args:
        dataset (dict): The config of a dataset that is no wrapper of others.
        name (str): The key of this config.

    Yields:
        ReportLine: An error for each.
    """
    ending = DatasetConfig(dataset, name).setting('depth_map_suffix')
    ending = ending.lower() if isinstance(ending, str) else ''
    for index, step in enumerate(dataset.get('pipeline') or []):
        if not loads_depth(step):
            continue
        key = f'{name}.pipeline.{index}'
        factor = step.get('depth_rescale_factor', 1)
        is_number = isinstance(factor, (int, float)) and not isinstance(factor, bool)
        if not is_number or not 0 < factor < math.inf:
            text = f'must be a number above 0, got {factor!r}'
            yield ReportLine('error', f'{key}.depth_rescale_factor {text}')
        backend = step.get('decode_backend', 'cv2')
        if backend not in _BACKENDS:
            text = f'must be one of {", ".join(_BACKENDS)}, got {backend!r}'
            yield ReportLine('error', f'{key}.decode_backend {text}')
        elif backend != _BACKEND_OF.get(ending, backend):
            text = f'{ending} files need {_BACKEND_OF[ending]}, got {backend}'
            yield ReportLine('error', f'{key}.decode_backend: {text}')
        if ending == '.png' and not step.get('to_float32', True):
            text = 'gives whole numbers, models learn from floating point; set it to True'
            yield ReportLine('error', f'{key}.to_float32=False {text}')


def find_depth_problems(dataset: dict, name: str) -> Iterator[ReportLine]:
    """Find what is wrong with what a pipeline does with depth maps, from its config alone.

    Args:
        dataset (dict): The config of a dataset that is no wrapper of others.
        name (str): The key of this config.

    Yields:
        ReportLine: The errors.
    """
    pipeline = dataset.get('pipeline') or []
    first = next((index for index, step in enumerate(pipeline) if loads_depth(step)), None)
    if first is None:
        return
    steps = list(nested_configs(pipeline, f'{name}.pipeline'))
    with_labels = any(type_name(step.get('type')) == 'LoadAnnotations' for _, step in steps)
    for key, step in steps:
        yield from _step_problems(step, key, with_labels)
    # Tests compare with depth maps as they are.
    for index, step in enumerate(pipeline[:first] if name.startswith('train') else []):
        kind = type_name(step.get('type'))
        if is_known_step(step) and any(part in kind for part in _MOVING):
            text = f'{kind} comes before the depth maps are loaded, and so moves the images alone'
            yield ReportLine('error', f'{name}.pipeline.{index}: {text}')


def loads_depth(step: dict) -> bool:
    """Tell whether a step of a pipeline is mmseg's ``LoadDepthAnnotation``, or derived from it."""
    kind = find_class(TRANSFORMS, step.get('type'))
    return 'LoadDepthAnnotation' in [base.__name__ for base in inspect.getmro(kind or object)]


def _step_problems(step: dict, key: str, with_labels: bool) -> Iterator[ReportLine]:
    kind = find_class(TRANSFORMS, step.get('type')) if 'type' in step else None
    if not inspect.isclass(kind):
        return
    yield from find_padding_problems(step, kind, key)
    host = kind.__module__.partition('.')[0]
    if host == 'mmseg' and kind.__name__ == 'RandomRotFlip' and step.get('rotate_prob', 1):
        text = 'RandomRotFlip mixes the depths of neighbours where it turns by an angle; take '
        yield ReportLine('error', f'{key}: {text}RandomRotate with seg_pad_val=0')
    if host == 'mmseg' and step.get('cat_max_ratio', 1) != 1 and not with_labels:
        text = 'is for label maps, which the pipeline does not load; leave it out'
        yield ReportLine('error', f'{key}.cat_max_ratio {text}')
    targets = {**(step.get('keymap') or {}), **(step.get('additional_targets') or {})}
    if kind.__name__ == 'Albu' and 'gt_depth_map' not in targets:
        for _, one in nested_configs(step.get('transforms'), ''):
            if any(part in type_name(one.get('type')) for part in _ALBU_MOVING):
                text = f'{type_name(one["type"])} moves images alone; set additional_targets='
                yield ReportLine('error', f"{key}: {text}dict(gt_depth_map='mask')")
    if host == 'mmcv' and kind.__name__ in BLIND_STEPS:
        text = f"mmcv's {kind.__name__} moves the pixels of images, but not of depth maps"
        yield ReportLine('error', f'{key}: {text}')


def find_padding_problems(config: dict, kind: type | None, name: str) -> Iterator[ReportLine]:
    """Find values with which a step or a preprocessor pads depth maps, other than 0.

    Args:
        config (dict): Its config.
        kind (type, optional): Its class.
        name (str): The key of the config.

    Yields:
        ReportLine: An error for each.
    """
    for option in ('seg_pad_val', 'seg_fill_in'):
        value = config.get(option, default_of(kind, option))
        if value:
            own = '' if option in config else ' by default'
            text = f'is {value}{own}, must be 0 with depth maps: {value} would be taken for a depth'
            yield ReportLine('error', f'{name}.{option} {text}')
