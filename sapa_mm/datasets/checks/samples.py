"""Checks of a sample of a dataset's images and label maps, which are opened."""

import contextlib
import io
from collections.abc import Iterator
from typing import Any

import numpy as np
from mmengine.registry import DATASETS
from PIL import Image, UnidentifiedImageError

from ...utils.coco_panoptic import IGNORE_INDEX, rgb2id
from ...utils.configs import type_name
from ...utils.text import first_of, one_line
from .report import ReportLine, shorten

#: Numbers of images in the complete datasets, by class and by a part of their paths.
_COMPLETE_SIZES = {
    'ADE20KDataset': {'training': 20_210, 'validation': 2_000},
    'CocoDataset': {'train2017': 118_287, 'val2017': 5_000},
    'CocoPanopticDataset': {'train2017': 118_287, 'val2017': 5_000},
}


def inspect_samples(
    config: dict, name: str, samples: int, seed: int, has_errors: bool
) -> Iterator[ReportLine]:
    """Check a sample of a dataset's images, with their annotations.

    Args:
        config (dict): The config of a dataset whose files all exist.
        name (str): The key of this config.
        samples (int): Number of images to open.
        seed (int): Seed for choosing them.
        has_errors (bool): Whether errors of this dataset were found before.

    Yields:
        ReportLine: Errors and notes, and one line if there is no error.
    """
    try:
        # Include images without annotations. pycocotools prints its progress.
        with contextlib.redirect_stdout(io.StringIO()):
            dataset = DATASETS.build({**config, 'pipeline': [], 'filter_cfg': None})
    except Exception as error:
        # The host libraries parse files without validating their content.
        if not has_errors:
            yield ReportLine('error', f'{name}: cannot be loaded: {one_line(error)}')
        return
    count = len(dataset)
    complete = _complete_size(config)
    if complete is not None and count != complete:
        whole = f'the whole {type_name(config["type"])} has {complete:,} in this split'
        yield ReportLine('note', f'{name}: {count:,} images; {whole}')
    chosen = np.random.default_rng(seed).choice(count, min(samples, count), replace=False)
    opened = [_sample_problems(dataset, int(index)) for index in sorted(chosen)]
    problems = shorten([f'{name}: {problem}' for problems in opened for problem in problems])
    yield from (ReportLine('error', text) for text in problems)
    if not problems and not has_errors:
        text = f'{name}: {count:,} images, {len(chosen):,} of them opened, with their annotations'
        yield ReportLine('right', text)


def _complete_size(config: dict) -> int | None:
    paths = f'{config.get("ann_file", "")} {config.get("data_prefix", "")}'
    sizes = _COMPLETE_SIZES.get(type_name(config.get('type')), {})
    return next((size for fragment, size in sizes.items() if fragment in paths), None)


def _sample_problems(dataset: Any, index: int) -> Iterator[str]:
    """Find problems with an image and its annotation, given the dataset's description."""
    info = dataset.get_data_info(index)
    try:
        size = _open(info['img_path']).size
    except ValueError as error:
        yield str(error)
        return
    stated = (info.get('width'), info.get('height'))
    if None not in stated and size != stated:
        yield (
            f'{info["img_path"]} is {_format_size(size)}, its annotation says '
            f'{_format_size(stated)} (width x height)'
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
            f'{info["seg_map_path"]} is {_format_size(annotation.size)}, its image '
            f'{_format_size(size)} (width x height)'
        )
    check = _segment_problems if 'segments_info' in info else _label_problems
    yield from check(annotation, info, dataset)


def _label_problems(annotation: Image.Image, info: dict, dataset: Any) -> Iterator[str]:
    path = info['seg_map_path']
    if annotation.mode not in ('L', 'P', '1'):
        yield f'{path} has mode {annotation.mode}, a label map has one channel of 8 bits'
        return
    # If a config selects some classes, the files still have the labels of all.
    metainfo = dataset.METAINFO if info.get('label_map') else dataset.metainfo
    classes = len(metainfo['classes'])
    # With reduce_zero_label, 0 is "other" and the classes begin at 1.
    highest = classes if info.get('reduce_zero_label') else classes - 1
    labels = np.unique(np.asarray(annotation))
    wrong = [label for label in labels if highest < label != IGNORE_INDEX]
    if wrong:
        yield f'{path} has label {wrong[-1]}, allowed are 0 to {highest} and {IGNORE_INDEX}'


def _segment_problems(annotation: Image.Image, info: dict, dataset: Any) -> Iterator[str]:
    ids = set(np.unique(rgb2id(np.asarray(annotation.convert('RGB')))).tolist()) - {0}
    stated = {segment['id'] for segment in info['segments_info']}
    for text, difference in (
        ('segments that the JSON file lacks', ids - stated),
        ('no pixel of segments in the JSON file', stated - ids),
    ):
        if difference:
            yield f'{info["seg_map_path"]} has {text}: {first_of(sorted(difference))}'


def _open(path: str) -> Image.Image:
    """Open and decode an image."""
    try:
        image = Image.open(path)
        image.load()
    except (OSError, SyntaxError, UnidentifiedImageError, ValueError) as error:
        raise ValueError(f'{path} cannot be read: {error}') from error
    return image


def _format_size(size: tuple[int, int]) -> str:
    return f'{size[0]}x{size[1]}'
