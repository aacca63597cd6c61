"""What is wrong with the COCO files of datasets, of instances or panoptic segments."""

import os
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from functools import cached_property
from typing import Any

import numpy as np
from mmengine.fileio import list_dir_or_file

from ...utils.coco_file import CocoFile
from ...utils.coco_panoptic import map_name
from ...utils.configs import nested_configs
from ...utils.text import accent_hint, first_of
from .coco_boxes import find_repeated_boxes, find_wrong_boxes
from .dataset_config import DatasetConfig, read_metainfo
from .report import ReportLine

COCO_DATASETS = ('CocoDataset', 'CocoPanopticDataset')
#: Topics of ``CocoFile.problems`` that matter to every dataset.
COCO_TOPICS = ('mark', 'content', 'images', 'categories', 'no list', 'annotations', 'boxes')


class CocoReader:
    """Reads COCO files, each once."""

    def __init__(self) -> None:
        self._files: dict[str, CocoFile] = {}

    def __call__(self, path: str) -> CocoFile:
        """Read a file, or give what was read before; see ``CocoFile.read``."""
        key = os.path.realpath(path)
        if key not in self._files:
            self._files[key] = CocoFile.read(path)
        return self._files[key]

    def categories(self, path: str) -> list[dict]:
        """Get the categories of a file, none if it cannot be read."""
        try:
            return self(path).categories
        except (FileNotFoundError, ValueError):
            return []


def coco_dataset(dataset: dict, name: str, read: CocoReader) -> 'CocoDataset | None':
    """Describe a dataset if it is one of mmdet's that reads COCO files from a local disk.

    Args:
        dataset (dict): The config of a dataset that is no wrapper of others.
        name (str): The key of this config.
        read (CocoReader): Reads annotations.

    Returns:
        CocoDataset or None: The dataset. None for others, also if they load COCO files otherwise.
    """
    config = DatasetConfig(dataset, name)
    if config.loader not in COCO_DATASETS or dataset.get('backend_args'):
        return None
    return CocoDataset(config, read)


class CocoDataset:
    """A COCO dataset of mmdet, from its config.

    Args:
        config (DatasetConfig): Its config.
        read (CocoReader): Reads its annotations.

    Attributes:
        name (str): The key of the config.
        path (str): The annotation file.
    """

    def __init__(self, config: DatasetConfig, read: CocoReader) -> None:
        self.name, self.path = config.name, ''
        self._config, self._read = config, read
        if isinstance(config.setting('ann_file'), str):
            self.path = config.path('ann_file') or ''

    @property
    def file(self) -> CocoFile:
        """Its annotations; raises an error if they cannot be read."""
        return self._read(self.path)

    @property
    def is_readable(self) -> bool:
        """Whether there are annotations with images and categories."""
        try:
            problems = self.file.problems
        except (FileNotFoundError, ValueError):
            return False
        return not any(problems[topic] for topic in ('content', 'images', 'categories'))

    @property
    def is_described(self) -> bool:
        """Whether ``get_data_info`` knows what the dataset gives."""
        return self.is_readable and self._config.definer('parse_data_info') in COCO_DATASETS

    @property
    def metainfo(self) -> dict:
        """What it says of its classes, as far as that can be read."""
        try:
            return read_metainfo(self._config.config)
        except (OSError, ValueError):
            return {}

    @property
    def classes(self) -> list[str]:
        """The names of its classes."""
        classes = self.metainfo.get('classes') or ()
        return [classes] if isinstance(classes, str) else list(classes)

    def find_missing(self) -> Iterator[ReportLine]:
        """Find files that are missing or damaged."""
        annotations = self._config.setting('ann_file')
        if not isinstance(annotations, str) or not annotations:
            text = f'{self.name}.ann_file takes one file, got {annotations!r}'
            if isinstance(annotations, (list, tuple)):
                text += '; use ConcatDataset for several'
            yield ReportLine('error', text)
        else:
            yield from self._config.file('ann_file')
        if self._config.path('data_prefix.img') is None:
            text = 'names the folder of the images, got none'
            yield ReportLine('error', f'{self.name}.data_prefix.img {text}')
        folders = {'img': (yield from self._config.folder('data_prefix.img'))}
        if self._config.loads_annotations():
            folders['seg'] = yield from self._config.folder('data_prefix.seg')
        if not os.path.isfile(self.path):
            return
        try:
            file = self.file
        except ValueError as error:
            yield ReportLine('error', f'{self.name}.{error}')
            return
        for key, folder in folders.items():
            if folder is not None:
                names = file.names if key == 'img' else map(map_name, file.names)
                for text in missing_files(names, folder):
                    yield ReportLine('error', f'{self.name}.data_prefix.{key}: {text}')

    def find_problems(self) -> Iterator[ReportLine]:
        """Find what is wrong with its annotations, which must be there."""
        file, place = self.file, f'{self.name}.ann_file'
        topics = list(COCO_TOPICS)
        if not self._config.setting('test_mode') and self._config.loads_annotations():
            empty = problems(file, ['empty'], place, self.path)
            if '.datasets.' in self.name:  # a part of nothing but background
                yield from (ReportLine('note', line.text) for line in empty)
            else:
                topics.append('empty')
        if file.is_panoptic:
            topics.append('types')
        elif self._loads_masks():
            topics.append('masks')
        lines = problems(file, topics, place, self.path)
        parser = self._config.definer('parse_data_info')
        needs_segments = parser == 'CocoPanopticDataset'
        if parser in COCO_DATASETS and len(file.image) and file.is_panoptic != needs_segments:
            kinds = ('instances', 'panoptic segments')
            text = f'has {kinds[not needs_segments]}, {parser} needs {kinds[needs_segments]}'
            lines = [ReportLine('error', f'{place}: {self.path} {text}')]
        yield from lines
        if not self.is_readable:
            return
        for line in self._compare_classes():
            yield ReportLine(line.kind, f'{place}: {self.path} {line.text}')
        if not lines:
            for line in (
                *find_wrong_boxes(file),
                *find_repeated_boxes(file),
                *self._find_skipped(),
                *self._find_crowds(),
                *self._count_images(),
            ):
                yield ReportLine(line.kind, f'{place}: {self.path}: {line.text}')

    def kept(self) -> np.ndarray:
        """Tell which images the dataset gives, bool (I,)."""
        kept = np.ones(len(self.file.names), bool)
        for rows in self._filtered().values():
            kept &= ~rows
        indices = self._config.setting('indices')
        if indices is not None:
            chosen = np.flatnonzero(kept)
            if isinstance(indices, int):
                chosen = chosen[:indices] if indices >= 0 else chosen[indices:]
            else:
                chosen = chosen[list(indices)]
            kept = np.isin(np.arange(len(kept)), chosen)
        return kept

    def _filtered(self) -> dict[str, np.ndarray]:
        """Tell which images each setting of filter_cfg leaves out, as mmdet does."""
        file, reasons = self.file, {}
        filters = self._config.setting('filter_cfg') or {}
        if self._config.setting('test_mode'):
            return reasons
        if filters.get('filter_empty_gt'):
            rows = self._labels >= 0
            if file.is_panoptic:
                rows &= self._things & ~self._skipped
            left = np.zeros(len(file.names), bool)
            left[file.image[rows & (file.image >= 0)]] = True
            reasons['filter_empty_gt'] = ~left
        if filters.get('min_size'):
            reasons['min_size'] = ~(file.sizes.min(1) >= filters['min_size'])
        return reasons

    @cached_property
    def _labels(self) -> np.ndarray:
        """The label of each row, in the order of the file's categories; -1 for other classes."""
        names = set(self.classes)
        chosen = np.array([one['name'] in names for one in self.file.categories] + [False])
        return np.where(chosen, np.cumsum(chosen) - 1, -1)[self.file.category]

    @cached_property
    def _things(self) -> np.ndarray:
        """Whether each row is of things, and no crowd."""
        things = np.array([bool(one.get('isthing')) for one in self.file.categories] + [False])
        return things[self.file.category] & ~self.file.crowd

    @cached_property
    def _skipped(self) -> np.ndarray:
        """Whether mmdet leaves each row out."""
        return np.any(list(self._reasons_to_skip().values()), axis=0)

    def _reasons_to_skip(self) -> dict[str, np.ndarray]:
        file = self.file
        (x, y, width, height), size = file.box.T, file.sizes[file.image]
        low, high = np.maximum(file.box[:, :2], 0), np.minimum((x + width, y + height), size.T).T
        small = {
            'have area 0 or less': ~(file.area > 0),
            'have a box below one pixel': (width < 1) | (height < 1),
        }
        if file.is_panoptic:
            return small
        marked, outside = file.ignored, (high <= low).any(1)
        return {'are marked with ignore': marked, **small, 'lie outside their image': outside}

    def _loads_masks(self) -> bool:
        steps = nested_configs(self._config.setting('pipeline'), 'pipeline')
        return any(step.get('with_mask') for _, step in steps)

    def _compare_classes(self) -> Iterator[ReportLine]:
        file = self.file
        classes = self.classes
        missing = sorted(set(classes) - {one['name'] for one in file.categories})
        if missing:
            text = f'has no category for {len(missing)} of the classes: {first_of(missing)}'
            if len(missing) == len(classes) and file.categories:
                names = first_of([one['name'] for one in file.categories])
                text += f'; metainfo=dict(classes=...) must have those of the file: {names}'
            yield ReportLine('error', text)
        others = self._count((self._labels < 0) & (file.category >= 0))
        if others:
            # Boxes of other categories are skipped; panoptic datasets fail to load with them.
            kind = 'error' if file.is_panoptic else 'note'
            text = f'has annotations of categories that are not among the classes: {others}'
            yield ReportLine(kind, text)

    def _count(self, rows: np.ndarray) -> str:
        """Count rows by the names of their classes."""
        names = [one['name'] for one in self.file.categories]
        counts = Counter(names[index] for index in self.file.category[rows].tolist())
        return first_of([f'{name} ({count:,})' for name, count in sorted(counts.items())])

    def _find_skipped(self) -> Iterator[ReportLine]:
        """Say what mmdet leaves out without a word."""
        file = self.file
        left = self._labels >= 0
        total = int(left.sum())
        for text, rows in self._reasons_to_skip().items():
            rows = rows & left
            left = left & ~rows
            count = int(rows.sum())
            if not count:
                continue
            what = 'segments' if file.is_panoptic else 'annotations'
            line = f'mmdet skips {count:,} of {total:,} {what}, which {text}: {self._count(rows)}'
            wrong = 'ignore' not in text and (2 * count > total or self._compares_segments())
            if file.is_panoptic:
                line += '; the maps have pixels of them'
            kind = 'error' if wrong else 'note'
            yield ReportLine(kind, line)

    def _find_crowds(self) -> Iterator[ReportLine]:
        rows = self._labels >= 0
        total = int(rows.sum())
        if total and self.file.crowd[rows].all() and not self.file.is_panoptic:
            text = f'all {total:,} annotations are crowds (iscrowd), of which nothing is learnt'
            yield ReportLine('error', text)

    def _compares_segments(self) -> bool:
        """Whether the pipeline compares segments with maps, which have the skipped ones, too."""
        return self.file.is_panoptic and self._config.loads_annotations()

    def _count_images(self) -> Iterator[ReportLine]:
        file = self.file
        counts = Counter(os.path.normpath(name) for name in file.names)
        repeated = [name for name, count in counts.items() if count > 1]
        if repeated:
            text = f'{len(repeated):,} images are there more than once, each time with a part of '
            yield ReportLine('note', f'{text}the annotations: {first_of(repeated)}')
        kept = self.kept()
        left, total = int(kept.sum()), len(kept)
        if 2 * left < total and self._config.setting('indices') is None:
            filters = [
                f'filter_cfg.{setting}={self._config.setting("filter_cfg")[setting]} leaves out '
                f'{int(rows.sum()):,}'
                for setting, rows in self._filtered().items()
                if rows.any()
            ]
            text = f'{left:,} of {total:,} images are left, because {" and ".join(filters)}'
            yield ReportLine('note' if left else 'error', text)
        if self._compares_segments():
            without = [
                f'{file.names[index]} (id {key})'
                for key, index in file.images.items()
                if kept[index] and key not in file.entries
            ]
            if without:
                text = f'{len(without):,} images have no annotation: {first_of(without)}'
                yield ReportLine('error', text)

    def __len__(self) -> int:
        """The number of images, filtered or not."""
        return len(self.file.names)

    def get_data_info(self, index: int) -> dict:
        """Describe an image as mmdet's dataset would; masks, which are not kept, are the boxes."""
        file, name = self.file, self.file.names[index]
        width, height = file.sizes[index].astype(int).tolist()
        known = (self._labels >= 0) | file.is_panoptic
        rows = np.flatnonzero((file.image == index) & known & ~self._skipped)
        info: dict[str, Any] = {
            'img_id': list(file.images)[index],
            'img_path': os.path.join(self._config.path('data_prefix.img') or '', name),
            'width': width,
            'height': height,
            'instances': [self._instance(row) for row in rows],
        }
        folder, entry = self._config.path('data_prefix.seg'), file.entries.get(info['img_id'])
        if folder and file.is_panoptic and entry is not None:
            names = (file.map_names[entry], map_name(name))
            info['seg_map_path'] = os.path.join(folder, names[self._config.loads_annotations()])
            info['segments_info'] = [
                {
                    'id': int(file.ids[row]),
                    'category': int(self._labels[row]),
                    'is_thing': bool(self._things[row]),
                }
                for row in rows
            ]
            info['instances'] = [
                instance
                for instance, segment in zip(info['instances'], info['segments_info'], strict=True)
                if segment['is_thing']
            ]
        return info

    def _instance(self, row: int) -> dict:
        x, y, width, height = self.file.box[row].tolist()
        x2, y2 = x + width, y + height
        return {
            'bbox': [x, y, x2, y2],
            'bbox_label': int(self._labels[row]),
            'ignore_flag': int(self.file.crowd[row]),
            'mask': [[x, y, x2, y, x2, y2, x, y2]],
        }


def problems(file: CocoFile, topics: Sequence[str], key: str, path: str) -> list[ReportLine]:
    """Report what a file has in some topics of ``CocoFile.problems``."""
    return [
        ReportLine('error', f'{key}: {path}: {text}')
        for topic in file.problems
        if topic in topics
        for text in file.problems[topic]
    ]


def missing_files(names: Iterable[str], folder: str) -> list[str]:
    """Say which files are not in a folder, if any. A name may lead out of it, as mmdet lets it."""
    try:
        listed = set(list_dir_or_file(folder, list_dir=False, recursive=True))
    except OSError as error:
        return [f'{folder} cannot be read: {error}']
    # A listing is faster than to ask for each, but does not know hidden files and other spellings.
    missing = [
        name
        for name in sorted({*names} - listed - {''})
        if not os.path.isfile(os.path.join(folder, name))
    ]
    if not missing:
        return []
    text = f'{len(missing)} files are missing in {folder}: {first_of(missing)}'
    return [text + accent_hint(missing[0], listed)]
