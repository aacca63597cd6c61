"""Whether the files are there that ``MattingDataset`` reads."""

import itertools
import os
from collections.abc import Iterator

from ...utils.text import cut, first_of, one_line
from .dataset_config import DatasetConfig, find_dataset
from .loading import Header, format_size
from .report import ReportLine
from .segmentation_files import IMAGE_ENDINGS

#: Models take no smaller images.
_LEAST_SIDE = 16
#: Pillow's modes of more than 8 bits.
_DEEP = {'I': '32', 'I;16': '16', 'I;16B': '16', 'F': 'floats'}


def find_matting_file_problems(dataset: dict, name: str) -> Iterator[ReportLine]:
    """Find problems with the files that the config of a matting data set names.

    Args:
        dataset (dict): The config of a dataset that is no wrapper of others. Those of other classes
            pass.
        name (str): The key of this config.

    Yields:
        ReportLine: An error for what is missing, does not pair or is empty, a note for images that
        are not read.
    """
    config = DatasetConfig(dataset, name)
    if config.loader != 'MattingDataset':
        return
    settings = {key: value for key, value in dataset.items() if key != 'type'}
    try:
        # The registry would add where the class is.
        built = find_dataset(dataset['type'])(**{**settings, 'pipeline': [], 'lazy_init': False})
    except (OSError, ValueError) as error:
        text = str(error).removeprefix('MattingDataset: ')
        text += f'; {config.advice()}' if isinstance(error, FileNotFoundError) else ''
        yield ReportLine('error', f'{name}.{text}')
        return
    except Exception as error:
        yield ReportLine('error', f'{name}: cannot be loaded: {one_line(error)}')
        return
    infos = [built.get_data_info(index) for index in range(len(built))]
    paths = {key: {info[key] for info in infos} for key in infos[0] if key.endswith('_path')}
    if 'fg_path' in paths:
        paths = {'fg_path': paths['fg_path'], 'alpha_path': paths['alpha_path']}
        yield from _empty(set(built.backgrounds), f'{name}.data_prefix.bg_path')
    for text in cut(itertools.chain.from_iterable(_misfits(info) for info in infos), 10):
        yield ReportLine('error', f'{name}: {text}')
    for key, files in paths.items():
        yield from _empty(files, f'{name}.data_prefix.{key}')
        if not (config.config.get('ann_file') or config.config.get('indices')):
            yield from _unread(files, f'{name}.data_prefix.{key}')


def _misfits(info: dict) -> Iterator[str]:
    """What the headers of an image and its maps tell; a run opens few of them before it starts."""
    from ...matting.matting_files import describe_sizes

    first = next(key for key in ('fg_path', 'img_path') if key in info)
    image = Header.read(info[first])
    if first == 'img_path' and image.format and min(image.size) < _LEAST_SIDE:
        size = format_size(image.upright)
        yield f'{info[first]} is {size} (width x height), models take {_LEAST_SIDE} or more'
    for key in ('trimap_path', 'alpha_path'):
        one = Header.read(info[key]) if key in info else Header()
        if one.mode in _DEEP:
            yield f'{info[key]} must have 8 bits a channel, got {_DEEP[one.mode]}'
        elif image.format and one.format and one.upright != image.upright:
            sizes = one.upright[::-1], image.upright[::-1]
            yield describe_sizes(info[key], sizes[0], info[first], sizes[1])


def _empty(files: set[str], key: str) -> Iterator[ReportLine]:
    empty = sorted(path for path in files if not os.path.isfile(path) or not os.path.getsize(path))
    if empty:
        text = f'{len(empty):,} files are empty, or links that lead nowhere: {first_of(empty)}'
        yield ReportLine('error', f'{key}: {text}')


def _unread(files: set[str], key: str) -> Iterator[ReportLine]:
    for folder in sorted({os.path.dirname(path) for path in files}):
        there = {os.path.join(folder, name) for name in os.listdir(folder) if name[0] != '.'}
        unread = sorted(p for p in there - files if p.lower().endswith(IMAGE_ENDINGS))
        if unread:
            text = f'{len(unread):,} images in {folder} are not read, they have no partner or '
            text += f'another ending: {first_of([os.path.basename(path) for path in unread])}'
            yield ReportLine('note', f'{key}: {text}')
