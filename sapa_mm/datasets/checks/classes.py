"""Whether data sets, annotation files, metrics and heads agree on the classes.

A label is a number, and everybody derives its name from an order of their own: mmseg that of
``metainfo.classes``, mmdet's datasets and metrics each that of the categories in their file. Where
the orders differ, names and figures are wrong without a word.
"""

import inspect
import os
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from mmengine.config import Config

from ...utils.coco_panoptic import is_thing
from ...utils.configs import datasets_of, nested_configs, single_datasets, type_name
from ...utils.text import first_of
from .coco import COCO_DATASETS, CocoReader
from .coco_metrics import COCO_METRICS, has_metrics_of_parts
from .dataset_config import DatasetConfig, build_metainfo, find_dataset, read_metainfo
from .heads import find_head_problems, find_heads
from .report import ReportLine

_SEGMENTATION = 'BaseSegDataset'


def find_metainfo_problems(dataset: dict, name: str, read: CocoReader) -> Iterator[ReportLine]:
    """Find problems with the names of a dataset's classes. No image is opened.

    Args:
        dataset (dict): The config of a dataset that is no wrapper of others.
        name (str): The key of this config.
        read (CocoReader): Reads annotations.

    Yields:
        ReportLine: An error where names are missing, no names, or not in the order of the labels.
    """
    data = _Data(dataset, name, read)
    if data.error is not None:
        yield ReportLine('error', data.error)
        return
    yield from data.palette_problems()
    yield from data.order_problems()


def find_class_problems(
    cfg: Config, splits: Sequence[str], read: CocoReader
) -> Iterator[ReportLine]:
    """Find datasets, metrics and heads of a config that do not agree on the classes.

    Datasets whose own names are wrong are left to ``find_metainfo_problems``.

    Args:
        cfg (Config): The config. Its default scope must be the current one.
        splits (Sequence[str]): The splits to look at, of 'train', 'val' and 'test'.
        read (CocoReader): Reads annotations.

    Yields:
        ReportLine: An error or a note for each difference.
    """
    heads = list(find_heads(cfg.get('model')))
    reference: _Data | None = None
    found: dict[str, list[_Data]] = {}
    seen = []
    for split in splits:
        name = f'{split}_dataloader.dataset'
        config = (cfg.get(f'{split}_dataloader') or {}).get('dataset')
        if (config, evaluator := cfg.get(f'{split}_evaluator')) in seen:
            continue  # the test set is often that of the validation
        seen.append((config, evaluator))
        yield from _part_problems(config, name, evaluator, bool(heads), read)
        found[split] = [_Data(single, key, read) for key, single in datasets_of(cfg, split)]
        # A ConcatDataset has the classes of its first part.
        data = found[split][0] if found[split] else None
        if data is None or data.classes is None or data.is_depth:
            continue
        yield from _metric_problems(cfg, split, data)
        if reference is None:
            reference = data
            yield from find_head_problems(heads, len(data.classes), data.things(), data.name)
        elif reference.is_known and data.is_known:
            yield from _compare(reference, data, bool(heads))
    trained = {data.images: data.name for data in found.get('train', ()) if data.images}
    for data in found.get('val', ()):
        if data.images in trained:
            text = f'{data.name} reads the images of {trained[data.images]}'
            yield ReportLine('note', f'{text}: its metrics are those of training data')


class _Data:
    """The classes of a dataset.

    Args:
        dataset (dict): Its config.
        name (str): The key of this config.
        read (CocoReader): Reads annotations.
    """

    def __init__(self, dataset: dict, name: str, read: CocoReader) -> None:
        self.dataset, self.name, self._read = dataset, name, read
        self._config = config = DatasetConfig(dataset, name)
        kind = find_dataset(dataset.get('type'))
        bases = [base.__name__ for base in inspect.getmro(kind)] if kind else []
        # Others may number classes in their own way.
        self.is_segmentation = config.loader == _SEGMENTATION
        # Its classes are kinds of rooms.
        self.is_depth = config.loader == 'NYUDataset'
        self.is_coco = config.loader in COCO_DATASETS
        self.is_panoptic = self.is_coco and 'CocoPanopticDataset' in bases
        self.is_known = self.is_segmentation or self.is_coco
        self._is_usual = 'BaseDataset' in bases
        is_video = 'BaseVideoDataset' in bases  # trackers learn some of its classes
        #: Its COCO file, if it has one on this machine.
        self.path: str | None = None
        is_file = isinstance(dataset.get('ann_file'), str) and not dataset.get('backend_args')
        if self.is_coco and is_file:
            self.path = config.path('ann_file')
        #: What is wrong with the names themselves.
        self.error: str | None = None
        self.metainfo: dict = {}
        try:
            self.metainfo = read_metainfo(dataset)
        except (OSError, ValueError) as error:
            self.error = f'{name}.metainfo: a file that it names cannot be read: {error}'
        built = None
        if self.error is None and self.metainfo.get('classes') is None:
            built = build_metainfo(dataset)
        self._is_built = built is not None
        self.metainfo = built or self.metainfo
        self.error = self.error or self._find_error()
        #: The names; None if they are wrong, or not known before it is built.
        self.classes: tuple[str, ...] | None = None
        classes = self.metainfo.get('classes')
        if self.error is None and isinstance(classes, (list, tuple)) and not is_video:
            self.classes = tuple(classes)

    @property
    def settings(self) -> dict[str, Any]:
        """The metainfo, and mmseg's ``reduce_zero_label``."""
        zero = bool(self._config.setting('reduce_zero_label')) if self.is_segmentation else None
        return {**self.metainfo, 'reduce_zero_label': zero}

    @property
    def images(self) -> tuple | None:
        """What says which images it reads; None if that is not known."""
        is_known = self.is_known or self.is_depth
        if not is_known or isinstance(self.dataset.get('ann_file'), (list, tuple)):
            return None
        keys = ('ann_file', 'data_prefix.img_path', 'data_prefix.img')
        paths = [self._config.path(key) for key in keys]
        return (
            *(path and os.path.realpath(path) for path in paths),
            str(self.dataset.get('indices')),
        )

    def labels(self) -> tuple[str, ...]:
        """The name of each label; mmdet numbers the categories of a file in their order."""
        classes = self.classes or ()
        names = tuple(category['name'] for category in self.choose(self.path, classes))
        return names if sorted(names) == sorted(classes) else classes

    def choose(self, path: str | None, classes: Sequence[str]) -> list[dict]:
        """The categories of a file that are among the classes, as mmdet numbers them."""
        categories = self._read.categories(path) if path else []
        return [category for category in categories if category['name'] in classes]

    def things(self) -> int | None:
        """The number of classes of things; None if the data are not panoptic."""
        if not self.is_panoptic or self.classes is None:
            return None
        categories = self.choose(self.path, self.classes) or [
            {'name': name} for name in self.classes
        ]
        return sum(map(self._is_thing, categories))

    def _is_thing(self, category: dict) -> bool:
        stated = is_thing(category.get('isthing'))
        if stated is None:
            return category['name'] in (self.metainfo.get('thing_classes') or ())
        return stated

    def _find_error(self) -> str | None:
        stated, key = self.dataset.get('metainfo') or {}, f'{self.name}.metainfo'
        names = 'must be a list of the names of the classes, in the order of their labels'
        if not self._is_usual:
            return None
        if self.is_known and 'classes' in self.dataset:
            return f'{self.name}.classes is not read; write metainfo=dict(classes=...)'
        if not isinstance(stated, Mapping):
            return f'{key} must be a dict(classes=...), got {stated!r}'
        if 'CLASSES' in stated and 'classes' not in stated:
            return f'{key}.CLASSES is not read; it is called classes'
        classes = self.metainfo.get('classes')
        if classes is None or (isinstance(classes, str) and '://' in classes):
            is_missing = self.is_known and (self._is_built or 'classes' in stated)
            return f'{key}.classes is missing, {names}' if is_missing else None
        if isinstance(classes, str):
            return f'{key}.classes is the text {classes!r}, {names}; of one class: ({classes!r},)'
        if not isinstance(classes, (list, tuple)) or not classes:
            return f'{key}.classes is {classes!r}, {names}'
        if wrong := [repr(name) for name in classes if not isinstance(name, str)]:
            return f'{key}.classes has {first_of(wrong)}, {names}'
        if twice := [name for name in dict.fromkeys(classes) if classes.count(name) > 1]:
            return f'{key}.classes has {first_of(twice)} more than once; names must differ'
        if self._own and (others := [name for name in classes if name not in self._own]):
            kind = type_name(self.dataset['type'])
            return (
                f'{key}.classes: {kind} has no {first_of(others)}; it takes some of its own '
                f'classes, {_SEGMENTATION} takes any'
            )
        return None

    @property
    def _own(self) -> Sequence[str]:
        """The classes in the label maps of this kind of dataset, if it is one for certain data."""
        if not self.is_segmentation:
            return ()
        return getattr(find_dataset(self.dataset['type']), 'METAINFO', {}).get('classes') or ()

    def palette_problems(self) -> Iterator[ReportLine]:
        """Find what is wrong with the colours."""
        stated, key = self.dataset.get('metainfo') or {}, f'{self.name}.metainfo'
        if 'PALETTE' in stated and 'palette' not in stated:
            yield ReportLine('note', f'{key}.PALETTE is not read; it is called palette')
        palette = self.metainfo.get('palette')
        if self.is_segmentation and isinstance(palette, str):
            text = f'{key}.palette is the text {palette!r}, must be a list of colours'
            yield ReportLine('error', f'{text}, such as [[120, 120, 120], [180, 120, 120]]')
        if self.classes is None or not isinstance(palette, (list, tuple)) or not palette:
            return
        text = f'{key}.palette has {len(palette)} colours for {len(self.classes)} classes'
        is_short = len(palette) < len(self.classes)
        # Where some of a dataset's own classes are chosen, so are their colours.
        is_chosen = self._own and list(self._own) != list(self.classes)
        if self.is_segmentation and len(palette) != len(self.classes):
            if is_short or not is_chosen:
                yield ReportLine('error', f'{text}; it needs one for each')
        elif is_short:
            yield ReportLine('note', f'{text}; drawing needs one for each')

    def order_problems(self) -> Iterator[ReportLine]:
        """Find categories of its file that are not numbered as the names are."""
        if self.path is None or self.classes is None:
            return
        yield from _twice(
            self.choose(self.path, self.classes), f'{self.name}.ann_file: {self.path}'
        )
        labels = self.labels()
        if stuff := self.stuff_before_things():
            text = f'lists stuff ({stuff}) before things; panoptic models need the things first: '
            text += 'sort the categories of all files, and metainfo.classes'
            yield ReportLine('error', f'{self.name}.ann_file: {self.path} {text}')
            return
        # Some metrics tell things from stuff by the file, some by these names.
        stated = (self.dataset.get('metainfo') or {}).get('thing_classes')
        if self.is_panoptic and isinstance(stated, (list, tuple)):
            categories = self.choose(self.path, self.classes)
            wrong = [
                one['name'] for one in categories if self._is_thing(one) != (one['name'] in stated)
            ]
            if wrong:
                text = f'thing_classes and isthing in {self.path} do not agree: {first_of(wrong)}'
                yield ReportLine('error', f'{self.name}.metainfo.{text}')
        if labels != self.classes:
            start, theirs, ours = _difference(labels, self.classes)
            yield ReportLine(
                'error',
                f'{self.name}.metainfo.classes: from label {start} on they are {ours}, but the '
                f'labels are in the order of the categories in {self.path}, {theirs}; sort these, '
                f'or, if all files have this order, set classes={labels} and a palette to match',
            )

    def stuff_before_things(self) -> str | None:
        """The first class of stuff before a thing in its file, if there is one."""
        categories = self.choose(self.path, self.classes or ()) if self.is_panoptic else []
        things = [self._is_thing(category) for category in categories]
        if things == sorted(things, reverse=True):
            return None
        return categories[things.index(False)]['name']


def _twice(categories: list[dict], place: str) -> Iterator[ReportLine]:
    """Find categories of one name: mmdet numbers each."""
    ids: dict[str, list] = {}
    for category in categories:
        ids.setdefault(category['name'], []).append(category['id'])
    for name, found in ids.items():
        if len(found) > 1:
            text = f'has {len(found)} categories named {name}, with the ids {first_of(found)}'
            yield ReportLine('error', f'{place} {text}; leave one, or rename it')


def _difference(first: Sequence[str], second: Sequence[str]) -> tuple[int, str, str]:
    """The first label whose name differs, and the names from there on."""
    pairs = zip(first, second, strict=False)
    start = next((label for label, names in enumerate(pairs) if len(set(names)) > 1), 0)
    return start, first_of(first[start:]), first_of(second[start:])


def _metric_problems(cfg: Config, split: str, data: _Data) -> Iterator[ReportLine]:
    """Find metrics whose file numbers the classes otherwise than the dataset's."""
    evaluator = cfg.get(f'{split}_evaluator')
    if not data.is_coco or data.stuff_before_things() or has_metrics_of_parts(evaluator):
        return
    labels, things = data.labels(), data.things()
    for key, metric in nested_configs(evaluator, f'{split}_evaluator'):
        kind, path = type_name(metric.get('type')), metric.get('ann_file')
        # The metric sorts categories for Objects365, whose dataset does so, too.
        is_other = metric.get('sort_categories') or metric.get('backend_args')
        if kind not in COCO_METRICS or not isinstance(path, str) or is_other:
            continue
        if data.path and os.path.abspath(path) == data.path:
            continue
        categories = data.choose(path, labels)
        place = f'{key}.ann_file: {path}'
        if twice := list(_twice(categories, place)):
            yield from twice
            continue
        # Of panoptic data, boxes and masks are of things alone.
        number = things if things is not None and kind == 'CocoMetric' else len(labels)
        names = [category['name'] for category in categories]
        if not names or names[:number] == list(labels[:number]):
            continue  # without any, it is reported with the file
        if missing := [name for name in labels[:number] if name not in names]:
            text = f'has no category for {len(missing)} of the classes: {first_of(missing)}'
        else:
            start, theirs, ours = _difference(names, labels)
            text = f'numbers the classes from label {start} on as {theirs}, but {data.name} as '
            text += f'{ours}; labels are in the order of categories, give all files the same'
        yield ReportLine('error', f'{place} {text}')


def _part_problems(
    config: Any, name: str, evaluator: Any, is_sure: bool, read: CocoReader
) -> Iterator[ReportLine]:
    """Find parts of a ConcatDataset that differ: it takes parts of the same metainfo."""
    if has_metrics_of_parts(evaluator):
        return
    for key, wrapper in nested_configs(config, name):
        if type_name(wrapper.get('type')) != 'ConcatDataset':
            continue
        ignored = wrapper.get('ignore_keys') or ()
        ignored = [ignored] if isinstance(ignored, str) else ignored
        parts = []
        for index, part in enumerate(wrapper.get('datasets') or ()):
            singles = single_datasets(part, f'{key}.datasets.{index}')
            parts += [_Data(single, place, read) for place, single in singles][:1]
        parts = [part for part in parts if part.is_known and part.classes is not None]
        for part in parts[1:]:
            for setting in ('classes', 'palette', 'reduce_zero_label'):
                first, other = (one.settings.get(setting) for one in (parts[0], part))
                is_same = first == other and type(first) is type(other)  # mmengine wants both
                if not is_same and setting not in ignored:
                    text = f'{setting} is {_show(other)} in {part.name}, but {_show(first)} in '
                    text += f'{parts[0].name}; the parts of a ConcatDataset must have the same'
                    # mmdet's takes any: colours matter little, and some models read the names.
                    is_wrong = part.is_segmentation or (is_sure and setting != 'palette')
                    kind = 'error' if is_wrong else 'note'
                    yield ReportLine(kind, text)


def _compare(reference: _Data, data: _Data, is_sure: bool) -> Iterator[ReportLine]:
    """Find what differs in the classes of two splits."""
    ours, theirs = reference.classes or (), data.classes or ()
    texts = []
    for one, classes in ((data, theirs), (reference, ours)):
        text = f'{one.name} has {len(classes)} classes ({first_of(classes)})'
        if one.is_segmentation:
            text += f' and reduce_zero_label={one.settings["reduce_zero_label"]}'
        texts.append(text)
    text = ', but '.join(texts)
    if len(ours) != len(theirs):
        yield ReportLine('error' if is_sure else 'note', text)
    elif ours != theirs:
        start, ours_there, theirs_there = _difference(ours, theirs)
        yield ReportLine(
            # The names may be others for the same, but not the same for others.
            'error' if set(ours) == set(theirs) else 'note',
            f'{data.name}.metainfo.classes: from label {start} on they are {theirs_there}, but '
            f'{ours_there} in {reference.name}',
        )
    elif reference.settings['reduce_zero_label'] != data.settings['reduce_zero_label']:
        yield ReportLine('note', f'{text}: right only if their label maps differ, too')


def _show(value: Any) -> str:
    """Format a setting, with the kind of a sequence."""
    if isinstance(value, (list, tuple)):
        return f'a {type(value).__name__} of {len(value)}: {first_of(value)}'
    return repr(value)
