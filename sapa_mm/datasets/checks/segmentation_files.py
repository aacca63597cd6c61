"""Whether the files are there that mmseg's datasets for segmentation and depth read."""

import os
import unicodedata
from collections import Counter
from collections.abc import Generator, Iterator
from dataclasses import dataclass

from ...utils.configs import loads_labels, type_name
from ...utils.text import accent_hint, first_of
from .dataset_config import DatasetConfig, is_known_step
from .report import ReportLine

#: Endings of files that somebody may take for images of a dataset.
IMAGE_ENDINGS = (
    '.jpg',
    '.jpeg',
    '.png',
    '.bmp',
    '.tif',
    '.tiff',
    '.webp',
    '.jp2',
    '.heic',
    '.npy',
)


@dataclass(frozen=True)
class _MapFiles:
    """The files that a kind of dataset reads with its images.

    Attributes:
        folder (str): The key of their folder in ``data_prefix``.
        suffix (str): The argument for their ending.
        maps (str): What they are called.
        other_step (str): The loading step that does not read them.
        reads_list (bool): Whether ``ann_file`` lists the images.
    """

    folder: str = 'seg_map_path'
    suffix: str = 'seg_map_suffix'
    maps: str = 'label maps'
    other_step: str = 'LoadDepthAnnotation'
    reads_list: bool = True


#: By the class whose ``load_data_list`` a dataset uses: another one may expect other files.
_MAP_FILES = {
    'BaseSegDataset': _MapFiles(),
    'NYUDataset': _MapFiles(
        'depth_map_path', 'depth_map_suffix', 'depth maps', 'LoadAnnotations', reads_list=False
    ),
}


def find_file_problems(dataset: dict, name: str) -> Iterator[ReportLine]:
    """Find problems with the files that a dataset config names. No image is opened.

    Datasets of mmseg for segmentation and depth are checked; see ``coco.py`` for those of mmdet.
    Other datasets and data that is not on a local disk pass.

    Args:
        dataset (dict): The config of a dataset that is no wrapper of others.
        name (str): The key of this config.

    Yields:
        ReportLine: An error for each folder or file that is missing, cannot be read, or does not
        fit the others.
    """
    config = DatasetConfig(dataset, name)
    backend = (dataset.get('backend_args') or {}).get('backend', 'local')
    files = _MAP_FILES.get(config.loader or '')
    if files is not None and backend == 'local':
        try:
            yield from _find_problems(config, files)
        except (OSError, UnicodeDecodeError) as error:
            place = getattr(error, 'filename', None) or 'a list of images'
            yield ReportLine('error', f'{name}: {place} cannot be read: {error}')


class _Folder:
    """The files in a folder and its subfolders, as the datasets list them.

    Args:
        path (str, optional): The folder. None for none.

    Attributes:
        files (set[str]): Their paths in the folder; hidden files are left out.
        broken (set[str]): Links that lead nowhere; datasets leave them out without a word.
    """

    def __init__(self, path: str | None) -> None:
        self.path = path or ''
        self.files: set[str] = set()
        self.broken: set[str] = set()
        if path is not None:
            self._walk(path, '')

    def _walk(self, path: str, prefix: str) -> None:
        with os.scandir(path) as entries:
            for entry in entries:
                if entry.is_dir():
                    self._walk(entry.path, f'{prefix}{entry.name}/')
                elif not entry.name.startswith('.'):
                    names = self.files if entry.is_file() else self.broken
                    names.add(prefix + entry.name)


def _find_problems(config: DatasetConfig, files: _MapFiles) -> Iterator[ReportLine]:
    if not files.reads_list and config.config.get('ann_file'):
        text = f'{config.loader} reads no list but all images of data_prefix.img_path; leave it out'
        yield ReportLine('error', f'{config.name}.ann_file: {text}')
    endings = {key: config.setting(key) for key in ('img_suffix', files.suffix)}
    for key, ending in endings.items():
        if not isinstance(ending, str):
            # mmseg cuts as many letters off a name as the tuple has endings.
            yield ReportLine('error', f'{config.name}.{key} takes one ending, got {ending!r}')
            return
    suffix, map_suffix = endings.values()
    image_dir = yield from config.folder('data_prefix.img_path')
    map_dir = None
    steps = config.config.get('pipeline') or []
    others = [step for step in steps if type_name(step.get('type')) == files.other_step]
    if others and all(map(is_known_step, steps)):
        kind = type_name(config.config['type'])
        text = f'{files.other_step} does not load the {files.maps} of {kind}'
        yield ReportLine('error', f'{config.name}.pipeline: {text}')
        return
    if loads_labels([step for step in steps if step not in others]):
        map_dir = yield from config.folder(f'data_prefix.{files.folder}')
        if config.path(f'data_prefix.{files.folder}') is None:
            text = f'{config.name}.data_prefix has no {files.folder}, the folder of {files.maps}'
            yield ReportLine('error', f'{text}, which the pipeline loads')
    found = _Folder(image_dir)
    ann_file = config.path('ann_file') if files.reads_list else None
    has_list = ann_file is not None and not os.path.isdir(ann_file)
    if has_list:
        listed = yield from config.file('ann_file')
        names = yield from _listed_names(config, listed, suffix)
        images = {name + suffix for name in names}
        if image_dir is not None:
            hint = ''
            if suffix and any(name.endswith(suffix * 2) for name in images - found.files):
                hint = f'; ann_file must list names without {suffix}'
            yield from _missing(config, images - found.files, 'data_prefix.img_path', found, hint)
    else:
        images = {name for name in found.files if name.endswith(suffix)}
        # mmseg cuts all off where the suffix is empty.
        names = {name[: -len(suffix)] for name in images}
        if image_dir is not None:
            yield from _unread_images(config, found, images, suffix, map_dir, map_suffix)
    if config.definer('_get_category_id_from_filename') == 'NYUDataset':
        yield from _names_without_digit(config, images, found)

    if map_dir is not None:
        yield from _find_map_problems(config, files, names, images, image_dir, map_dir, has_list)


def _names_without_digit(
    config: DatasetConfig, images: set[str], found: _Folder
) -> Iterator[ReportLine]:
    names = sorted(name for name in images if not any(map(str.isdigit, os.path.basename(name))))
    if names:
        text = f'{len(names):,} images in {found.path} have no digit in their names, in front of '
        text += f'which {config.loader} looks for the kind of room: {first_of(names)}; number them'
        yield ReportLine('error', f'{config.name}.data_prefix.img_path: {text}')


def _find_map_problems(
    config: DatasetConfig,
    files: _MapFiles,
    names: set[str],
    images: set[str],
    image_dir: str | None,
    map_dir: str,
    has_list: bool,
) -> Iterator[ReportLine]:
    """Compare the maps with the images, whose ``names`` lack the suffix."""
    key = f'data_prefix.{files.folder}'
    suffix, map_suffix = config.setting('img_suffix'), config.setting(files.suffix)
    maps = {name + map_suffix for name in names}
    found = _Folder(map_dir)
    hint = ''
    if not has_list and '.' not in suffix:
        hint = f'; img_suffix is {suffix!r}, without a dot'
    elif not has_list and map_dir == image_dir and map_suffix.endswith(suffix):
        hint = f'; files that end in {map_suffix} are taken for images, too, since img_suffix is '
        hint += f'{suffix}: keep {files.maps} in another folder'
        hint += ', or list the images in ann_file' if files.reads_list else ''
    lines = list(_missing(config, maps - found.files, key, found, hint))
    yield from lines
    if lines:
        return
    yield from _empty(config, maps, key, found)
    left = {name for name in found.files if name.endswith(map_suffix)} - maps
    left -= images if map_dir == image_dir else set()
    if left and images and not has_list:
        text = f'{len(left):,} {files.maps} in {map_dir} have no image: {first_of(sorted(left))}'
        yield ReportLine('note', f'{config.name}.{key}: {text}')


def _unread_images(
    config: DatasetConfig,
    found: _Folder,
    images: set[str],
    suffix: str,
    map_dir: str | None,
    maps: str,
) -> Iterator[ReportLine]:
    """Tell which images of a folder are left out, as a dataset does not."""
    key = f'{config.name}.data_prefix.img_path'
    others = [n for n in found.files - images if n.lower().endswith(IMAGE_ENDINGS)]
    if os.path.commonpath([map_dir or os.sep, found.path]) == found.path:
        others = [name for name in others if not name.endswith(maps)]
    counts = Counter(os.path.splitext(name)[1] for name in others).most_common()
    endings = ', '.join(f'{count:,} {ending}' for ending, count in counts)
    if not images:
        there = f'; it has {endings}' if others else ''
        yield ReportLine('error', f'{key}: no images (*{suffix}) in {found.path}{there}')
    elif others:
        text = f'{len(others):,} images in {found.path} are not read, since img_suffix is {suffix}'
        yield ReportLine('note', f'{key}: {text}: {endings} (such as {min(others)})')
    if found.broken:
        text = f'{len(found.broken):,} links in {found.path} lead nowhere'
        yield ReportLine('note', f'{key}: {text}: {first_of(sorted(found.broken))}')
    yield from _empty(config, images, 'data_prefix.img_path', found)


def _listed_names(
    config: DatasetConfig, path: str | None, suffix: str
) -> Generator[ReportLine, None, set[str]]:
    """Read the images that a text file lists, without their suffix, as mmseg does."""
    if path is None:
        return set()
    try:
        with open(path, encoding='utf-8', newline='\n') as lines:
            names = [line.strip() for line in lines]
    except UnicodeDecodeError as error:
        yield ReportLine('error', f'{config.name}.ann_file: {path} must be UTF-8: {error}')
        return set()
    key = f'{config.name}.ann_file'
    blank = [number for number, name in enumerate(names, 1) if not name]
    if not names:
        yield ReportLine('error', f'{key}: {path} lists no images')
    elif blank:
        text = f'is blank, mmseg takes it for an image {suffix}; delete it'
        yield ReportLine('error', f'{key}: line {blank[0]} of {path} {text}')
    elif names[0].startswith('\ufeff'):
        text = 'begins with a byte-order mark, mmseg takes it for a part of the first name'
        yield ReportLine('error', f'{key}: {path} {text}; save it as UTF-8 without')
    repeated = [name for name, count in Counter(names).items() if count > 1 and name]
    if repeated:
        text = f'lists {len(repeated):,} images more than once: {first_of(repeated)}'
        yield ReportLine('note', f'{key}: {path} {text}')
    return {name.lstrip('\ufeff') for name in names if name}


def _missing(
    config: DatasetConfig, missing: set[str], key: str, found: _Folder, hint: str = ''
) -> Iterator[ReportLine]:
    # Names such as ./a.jpg or .a.jpg are not listed, but are there.
    missing = {name for name in missing if not os.path.isfile(os.path.join(found.path, name))}
    if not missing:
        return
    text = f'{len(missing):,} files are missing in {found.path}: {first_of(sorted(missing))}'
    broken = missing & found.broken
    first = _stem(min(missing))
    alike = [name for name in found.files if _is_alike(_stem(name), first)]
    if broken:
        text += f'; {len(broken):,} are links that lead nowhere'
    elif not hint and alike:
        text += accent_hint(min(missing), alike) or f'; there is {min(alike)}'
    yield ReportLine('error', f'{config.name}.{key}: {text}{hint}')


def _stem(name: str) -> str:
    """Write names alike that differ in capitals, their ending, or the form of an accent."""
    return unicodedata.normalize('NFC', os.path.splitext(name)[0]).casefold()


def _is_alike(stem: str, other: str) -> bool:
    """Tell whether two names are the same but for something like _mask at the end."""
    short, long = sorted((stem, other), key=len)
    return long.startswith(short) and not long[len(short) : len(short) + 1].isalnum()


def _empty(
    config: DatasetConfig, names: set[str], key: str, found: _Folder
) -> Iterator[ReportLine]:
    empty = [name for name in names if not os.path.getsize(os.path.join(found.path, name))]
    if empty:
        text = f'{len(empty):,} files in {found.path} are empty: {first_of(sorted(empty))}'
        yield ReportLine('error', f'{config.name}.{key}: {text}')
