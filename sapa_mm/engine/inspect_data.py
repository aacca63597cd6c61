"""A thorough look at the data of a config: images and annotations are opened."""

import contextlib
import io
import json
import os
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from mmengine.config import Config
from mmengine.registry import DATASETS
from PIL import Image, UnidentifiedImageError

from ..datasets.coco import rgb2id
from .check_dataset import find_evaluator_problems, find_problems, single_datasets

#: Lines of one kind of problem that are spelled out.
_MOST = 10
_IGNORED = 255
#: Images of the whole datasets, by class and by what the paths of their files hold.
_SIZES = {
    'ADE20KDataset': {'training': 20_210, 'validation': 2_000},
    'CocoDataset': {'train2017': 118_287, 'val2017': 5_000},
    'CocoPanopticDataset': {'train2017': 118_287, 'val2017': 5_000},
}


@dataclass(frozen=True)
class Finding:
    """Something found in the data.

    Attributes:
        kind (str): 'error'; 'note', of what may be meant so; or 'right', of what was looked at.
        text (str): A line.
    """

    kind: str
    text: str


def inspect_data(cfg: Config, samples: int = 200, seed: int = 0) -> Iterator[Finding]:
    """Looks at the data that a config trains and validates on.

    Args:
        cfg (Config): The config; its default scope is the current one.
        samples (int): How many images and annotations of each dataset are opened. Defaults to 200.
        seed (int): Seed of the choice. Defaults to 0.

    Yields:
        Finding: What was found; an error for each problem.
    """
    for split in ('train', 'val'):
        key = f'{split}_dataloader'
        for name, dataset in single_datasets((cfg.get(key) or {}).get('dataset'), f'{key}.dataset'):
            problems = [str(problem) for problem in find_problems(dataset, name)]
            yield from (Finding('error', problem) for problem in problems)
            if not problems:
                yield from _inspect_dataset(dataset, name, samples, seed)
    for problem in find_evaluator_problems(cfg.get('val_evaluator'), 'val_evaluator'):
        yield Finding('error', str(problem))


def _inspect_dataset(config: dict, name: str, samples: int, seed: int) -> Iterator[Finding]:
    """Once its files are all there."""
    errors = []
    if str(config.get('ann_file', '')).endswith('.json'):
        path = os.path.join(config.get('data_root') or '', config['ann_file'])
        errors = [f'{name}.ann_file: {text}' for text in _coco_problems(path, config)]
        yield from (Finding('error', text) for text in errors)
    try:
        # All images, those without annotations too; pycocotools prints what it does.
        with contextlib.redirect_stdout(io.StringIO()):
            dataset = DATASETS.build({**config, 'pipeline': [], 'filter_cfg': None})
    except Exception as error:
        # The host libraries parse files without looking at what is in them.
        if not errors:
            text = f'{name}: cannot be loaded: {type(error).__name__}: {error}'
            yield Finding('error', text)
        return
    count = len(dataset)
    whole = _whole_size(config)
    if whole is not None and count != whole:
        text = f'{name}: {count:,} images; the whole {config["type"]} has {whole:,} in this split'
        yield Finding('note', text)
    chosen = np.random.default_rng(seed).choice(count, min(samples, count), replace=False)
    opened = [_sample_problems(dataset, int(index)) for index in sorted(chosen)]
    found = _shorten([f'{name}: {problem}' for problems in opened for problem in problems])
    yield from (Finding('error', text) for text in found)
    if not found and not errors:
        text = f'{name}: {count:,} images, {len(chosen):,} of them opened, with their annotations'
        yield Finding('right', text)


def _whole_size(config: dict) -> int | None:
    place = f'{config.get("ann_file", "")} {config.get("data_prefix", "")}'
    sizes = _SIZES.get(str(config.get('type')).rpartition('.')[2], {})
    return next((size for part, size in sizes.items() if part in place), None)


def _sample_problems(dataset: Any, index: int) -> Iterator[str]:
    """What is wrong with an image and its annotation, as the dataset describes them."""
    info = dataset.get_data_info(index)
    try:
        size = _open(info['img_path']).size
    except ValueError as error:
        yield str(error)
        return
    said = (info.get('width'), info.get('height'))
    if None not in said and size != said:
        yield (
            f'{info["img_path"]} is {_by(size)}, its annotation says {_by(said)} (width x height)'
        )
    if info.get('seg_map_path') is None:
        return
    try:
        annotation = _open(info['seg_map_path'])
    except ValueError as error:
        yield str(error)
        return
    if annotation.size != size:
        yield (
            f'{info["seg_map_path"]} is {_by(annotation.size)}, its image {_by(size)} '
            '(width x height)'
        )
    check = _segment_problems if 'segments_info' in info else _label_problems
    yield from check(annotation, info, dataset)


def _label_problems(annotation: Image.Image, info: dict, dataset: Any) -> Iterator[str]:
    path = info['seg_map_path']
    if annotation.mode not in ('L', 'P', '1'):
        yield f'{path} has mode {annotation.mode}, a label map has one channel of 8 bits'
        return
    # With some of the classes chosen, the labels are still those of all.
    chosen = dataset.METAINFO if info.get('label_map') else dataset.metainfo
    classes = len(chosen['classes'])
    # With reduce_zero_label, 0 is "other" and the classes begin at 1.
    most = classes if info.get('reduce_zero_label') else classes - 1
    labels = np.unique(np.asarray(annotation))
    wrong = [label for label in labels if most < label != _IGNORED]
    if wrong:
        yield f'{path} has label {wrong[-1]}, allowed are 0 to {most} and {_IGNORED}'


def _segment_problems(annotation: Image.Image, info: dict, dataset: Any) -> Iterator[str]:
    ids = set(np.unique(rgb2id(np.asarray(annotation.convert('RGB')))).tolist()) - {0}
    said = {segment['id'] for segment in info['segments_info']}
    for text, difference in (
        ('segments that the JSON file lacks', ids - said),
        ('no pixel of segments in the JSON file', said - ids),
    ):
        if difference:
            first = ', '.join(map(str, sorted(difference)[:3]))
            yield f'{info["seg_map_path"]} has {text}: {first}'


def _coco_problems(path: str, config: dict) -> list[str]:
    """What is wrong inside of a COCO file that is complete."""
    with open(path, 'rb') as file:
        content = json.load(file)
    lacking = [key for key in ('images', 'annotations', 'categories') if key not in content]
    if lacking:
        return [f'{path} has no {", ".join(lacking)}']
    images = {image.get('id'): image for image in content['images']}
    categories = {category.get('id'): category.get('name') for category in content['categories']}
    classes = (config.get('metainfo') or {}).get('classes')
    if classes is None:
        classes = DATASETS.get(config['type']).METAINFO['classes']
    missing = sorted(set(classes) - set(categories.values()))
    problems = []
    if missing:
        first = ', '.join(missing[:3]) + (', ...' if len(missing) > 3 else '')
        problems.append(f'{path} has no category for {len(missing)} of the classes: {first}')
    with_mask = any(step.get('with_mask') for step in config.get('pipeline', []))
    found = []
    for annotation in content['annotations']:
        image = images.get(annotation.get('image_id'))
        name = f'{path}: annotation {annotation.get("id")}'
        if image is None:
            found.append(f'{name} is of image {annotation.get("image_id")}, which is not there')
            continue
        # Panoptic files have an entry for each image, with its segments.
        for part in annotation.get('segments_info', [annotation]):
            if part.get('category_id') not in categories:
                found.append(f'{name} has category {part.get("category_id")}, which is not there')
        if 'bbox' in annotation:
            found += _box_problems(name, annotation['bbox'], image)
            if with_mask and not annotation.get('segmentation'):
                found.append(f'{name} has no segmentation')
    return problems + _shorten(found)


def _box_problems(name: str, box: list, image: dict) -> Iterator[str]:
    x, y, width, height = box
    if width <= 0 or height <= 0:
        yield f'{name} has a box of {width} x {height}'
    # Boxes are rounded.
    elif min(x, y) < -1 or x + width > image['width'] + 1 or y + height > image['height'] + 1:
        size = _by((image['width'], image['height']))
        yield f'{name} has the box {box}, outside of the image, {size} (width x height)'


def _open(path: str) -> Image.Image:
    """Opens and decodes an image."""
    try:
        image = Image.open(path)
        image.load()
    except (OSError, SyntaxError, UnidentifiedImageError, ValueError) as error:
        raise ValueError(f'{path} cannot be read: {error}') from error
    return image


def _shorten(lines: list[str]) -> list[str]:
    if len(lines) <= _MOST:
        return lines
    return [*lines[:_MOST], f'{lines[_MOST]} ... and {len(lines) - _MOST - 1:,} more']


def _by(size: tuple[int, int]) -> str:
    return f'{size[0]}x{size[1]}'
