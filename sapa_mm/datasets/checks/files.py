"""Whether the files exist that datasets and evaluators name."""

import inspect
import json
import mmap
import os
import re
from collections.abc import Callable, Generator, Iterator
from typing import Any

from mmengine.fileio import list_dir_or_file
from mmengine.registry import DATASETS

from ...utils.configs import nested_configs, type_name
from ...utils.files import read_json
from ...utils.text import first_of
from .report import ReportLine

# Larger annotation files are not parsed here; only their end is checked.
_PARSED_BYTES = 64 * 2**20

#: Yields problems and returns a path, if any.
Check = Generator[ReportLine, None, str | None]


def find_dataset(kind: Any) -> type | None:
    """Find the class of a dataset, in the current scope.

    Args:
        kind (Any): The ``type`` in its config: a name, or in newer configs the class.

    Returns:
        type or None: The class, or None if there is none of that name.
    """
    if not isinstance(kind, str):
        return kind
    with DATASETS.switch_scope_and_registry(None) as registry:
        return registry.get(kind)


def find_dataset_problems(dataset: dict, name: str) -> Iterator[ReportLine]:
    """Find problems with the files that a dataset config names. No image is opened.

    Segmentation datasets of mmseg and COCO datasets of mmdet are checked. Other datasets and data
    that is not on a local disk pass.

    Args:
        dataset (dict): The config of a dataset that is no wrapper of others.
        name (str): The key of this config.

    Yields:
        ReportLine: An error for each folder or file that is missing, cannot be read, or does not
        fit the others.
    """
    files = _Files(dataset, name)
    check = _CHECKS.get(files.loader)
    if check is not None and not dataset.get('backend_args'):
        try:
            yield from check(files)
        except (OSError, UnicodeDecodeError) as error:
            place = getattr(error, 'filename', None) or 'a list of images'
            yield ReportLine('error', f'{name}: {place} cannot be read: {error}')


def find_evaluator_problems(evaluator: Any, name: str) -> Iterator[ReportLine]:
    """Find problems with the files that an evaluator names.

    Args:
        evaluator (dict or list or Any): The config of a metric, of several, or of an evaluator.
        name (str): The key of this config.

    Yields:
        ReportLine: An error for each file that is missing or not complete.
    """
    for key, metric in nested_configs(evaluator, name):
        if metric.get('backend_args'):
            continue
        for argument, exists in (('ann_file', os.path.isfile), ('seg_prefix', os.path.isdir)):
            path = metric.get(argument)
            if not isinstance(path, str):
                continue
            if not exists(path):
                text = f'{key}.{argument}: {path} does not exist; point at the data with '
                text += f'`data_root` FOLDER, or at this with `cfg_options` {key}.{argument}=PATH'
                yield ReportLine('error', text)
            elif argument == 'ann_file':
                try:
                    _check_json(path, f'{key}.ann_file')
                except ValueError as error:
                    yield ReportLine('error', str(error))


class _Files:
    """The files of a dataset, from its config and the defaults of its class.

    Args:
        dataset (dict): The config of the dataset.
        name (str): The key of the config.
    """

    def __init__(self, dataset: dict, name: str) -> None:
        self.name = name
        self._dataset = dataset
        self._class = find_dataset(dataset.get('type'))

    @property
    def loader(self) -> str | None:
        """The name of the class whose ``load_data_list`` the dataset uses."""
        for base in inspect.getmro(self._class or object):
            if 'load_data_list' in vars(base):
                return base.__name__
        return None

    def setting(self, key: str) -> Any:
        """Get a setting from the config, or the default in the first class that takes it."""
        if key in self._dataset:
            return self._dataset[key]
        for base in inspect.getmro(self._class):
            parameter = inspect.signature(base.__init__).parameters.get(key)
            if parameter is not None:
                return parameter.default
        return None

    def path(self, key: str) -> str | None:
        """Get the absolute path of a key such as 'data_prefix.img', if it has one."""
        outer, _, inner = key.partition('.')
        value = self.setting(outer)
        if inner:
            value = (value or {}).get(inner)
        if value is None or (value == '' and not inner):
            return None
        return os.path.abspath(os.path.join(self.setting('data_root') or '', value))

    def folder(self, key: str) -> Check:
        """Get the path of a key; report it if it is not a folder."""
        return self._existing(key, 'folder', os.path.isdir)

    def file(self, key: str) -> Check:
        """Get the path of a key; report it if it is not a file."""
        return self._existing(key, 'file', os.path.isfile)

    def _existing(self, key: str, kind: str, exists: Callable[[str], bool]) -> Check:
        path = self.path(key)
        if path is not None and not exists(path):
            text = f'{self.name}.{key}: no {kind} {path}; {self._advice()}'
            yield ReportLine('error', text)
            return None
        return path

    def loads_annotations(self) -> bool:
        """Tell whether the pipeline reads annotations; a test set may lack them."""
        steps = self._dataset.get('pipeline', [])
        return any('Annotations' in type_name(step.get('type')) for step in steps)

    def _advice(self) -> str:
        option = '`data_root` FOLDER'
        if '.datasets.' in self.name:
            option = f'`cfg_options` {self.name}.data_root=FOLDER'
        advice = f'point at the data with {option}'
        root = self.setting('data_root') or ''
        if 'scenes' in root:
            advice += f', or make the generated scenes: python tools/make_scenes.py {root}'
        return advice


def _check_segmentation(files: _Files) -> Iterator[ReportLine]:
    image_dir = yield from files.folder('data_prefix.img_path')
    suffix = files.setting('img_suffix')
    if files.path('ann_file') is not None and not os.path.isdir(files.path('ann_file')):
        names = yield from files.file('ann_file')
        images = _read_names(names, suffix)
        if image_dir is not None:
            missing = images - _list(image_dir)
            yield from _missing(files, missing, 'data_prefix.img_path', image_dir)
    else:
        images = _list(image_dir, suffix)
    if image_dir is not None and not images:
        text = f'{files.name}.data_prefix.img_path: no images (*{suffix}) in {image_dir}'
        yield ReportLine('error', text)

    if files.loads_annotations():
        map_dir = yield from files.folder('data_prefix.seg_map_path')
        if map_dir is not None:
            maps = {image[: -len(suffix)] + files.setting('seg_map_suffix') for image in images}
            missing = maps - _list(map_dir)
            yield from _missing(files, missing, 'data_prefix.seg_map_path', map_dir)


def _check_coco(files: _Files) -> Iterator[ReportLine]:
    annotations = yield from files.file('ann_file')
    image_dir = yield from files.folder('data_prefix.img')
    map_dir = None
    if files.loads_annotations():
        map_dir = yield from files.folder('data_prefix.seg')
    if annotations is None:
        return
    try:
        named = _image_names(annotations, f'{files.name}.ann_file')
    except ValueError as error:
        yield ReportLine('error', str(error))
        return
    if image_dir is not None:
        yield from _missing(files, named - _list(image_dir), 'data_prefix.img', image_dir)
    if map_dir is not None:
        # As CocoPanopticDataset derives them.
        maps = {name.replace('.jpg', '.png') for name in named}
        yield from _missing(files, maps - _list(map_dir), 'data_prefix.seg', map_dir)


def _check_json(path: str, key: str) -> Any:
    """Read a JSON file; of a large one, check only the end and return None."""
    try:
        if not _is_large(path):
            return read_json(path, key)
        with open(path, 'rb') as file:
            file.seek(-64, os.SEEK_END)
            is_complete = file.read().rstrip().endswith(b'}')
    except OSError as error:
        raise ValueError(f'{key}: {path} cannot be read: {error.strerror}') from error
    if not is_complete:
        raise ValueError(
            f'{key}: {path} is not a complete JSON file (it stops half-way); copy or download it '
            'again'
        )
    return None


def _is_large(path: str) -> bool:
    return os.path.getsize(path) > _PARSED_BYTES


def _read_names(path: str | None, suffix: str) -> set[str]:
    """Read the images that a text file lists without their suffix."""
    if path is None:
        return set()
    with open(path) as lines:
        return {line.strip() + suffix for line in lines}


def _image_names(path: str, key: str) -> set[str]:
    """Get the file names of the images in a COCO file, without parsing it if it is large."""
    content = _check_json(path, key)
    if _is_large(path):
        with (
            open(path, 'rb') as file,
            mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as text,
        ):
            matches = re.finditer(rb'"file_name"\s*:\s*("(?:[^"\\]|\\.)*")', text)
            names = {json.loads(match[1]) for match in matches}
        # Panoptic annotations also name their maps.
        return {name for name in names if not name.endswith('.png')}
    images = content.get('images') if isinstance(content, dict) else None
    if not isinstance(images, list):
        raise ValueError(f'{key}: {path}: it is not a COCO file: it has no list of images')
    names = [image.get('file_name') if isinstance(image, dict) else None for image in images]
    wrong = [index for index, name in enumerate(names) if not isinstance(name, str)]
    if wrong:
        raise ValueError(
            f'{key}: {path}: {len(wrong)} of {len(names)} images have no file_name, the first is '
            f'images[{wrong[0]}]'
        )
    return set(names)


def _list(folder: str | None, suffix: str | None = None) -> set[str]:
    """List files the way the datasets do."""
    if folder is None:
        return set()
    return set(list_dir_or_file(folder, list_dir=False, suffix=suffix, recursive=True))


def _missing(files: _Files, missing: set[str], key: str, folder: str) -> Iterator[ReportLine]:
    if missing:
        text = f'{len(missing)} files are missing in {folder}: {first_of(sorted(missing))}'
        yield ReportLine('error', f'{files.name}.{key}: {text}')


# By the class whose ``load_data_list`` a dataset uses. A subclass that overrides it may expect
# other files, so it is not checked.
_CHECKS: dict[str, Callable[[_Files], Iterator[ReportLine]]] = {
    'BaseSegDataset': _check_segmentation,
    'CocoDataset': _check_coco,
    'CocoPanopticDataset': _check_coco,
}
