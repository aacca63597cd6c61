"""COCO's annotation files, of instances or panoptic segments: what they hold, and what is wrong."""

from __future__ import annotations

import codecs
import reprlib
from collections.abc import Callable, Hashable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import chain
from typing import Any, NamedTuple

import numpy as np

from .files import read_json
from .run_lengths import bounds_of_runs, decode_all_counts
from .text import cut

MAX_SEGMENT_ID = 2**24 - 1
"""The largest segment id that the colours of a panoptic PNG can hold."""


@dataclass
class CocoFile:
    """A summary of a COCO file in arrays; the file's own objects are not kept.

    A row is an annotation of an instance, or a panoptic segment. An entry is what a panoptic file
    says of an image. What is missing or of a wrong type is -1 among indices, and NaN among numbers.

    Attributes:
        problems (dict[str, list[str]]): What is wrong, by topic; see ``TOPICS``.
        is_panoptic (bool): Whether it has segments.
        images (dict): The index of each image's id.
        names (list[str]): The ``file_name`` of the images, '' if it has none.
        sizes (np.ndarray): Their widths and heights, float64 (I, 2).
        categories (list[dict]): Those with an ``id`` and a ``name``.
        image (np.ndarray): Index of the image of each row, int64 (N,).
        category (np.ndarray): Index of its category, int64 (N,).
        box (np.ndarray): Its box, [x, y, width, height], float64 (N, 4).
        area (np.ndarray): Its area, float64 (N,).
        crowd (np.ndarray): Whether it is a crowd, bool (N,).
        ignored (np.ndarray): Whether it says ``ignore``, bool (N,).
        mask_bounds (np.ndarray): Left, top, right and bottom of its mask, float64 (N, 4).
        ids (np.ndarray): The id of a segment, int64 (N,).
        entries (dict): Panoptic files: the index of the entry of each image's id.
        map_names (list[str]): The ``file_name`` of the entries.
        entry (np.ndarray): Index of the entry of each row, int64 (N,).
    """

    problems: dict[str, list[str]]
    is_panoptic: bool = False
    images: dict[Hashable, int] = field(default_factory=dict)
    names: list[str] = field(default_factory=list)
    sizes: np.ndarray = field(default_factory=lambda: np.zeros((0, 2)))
    categories: list[dict] = field(default_factory=list)
    image: np.ndarray = field(default_factory=lambda: np.zeros(0, np.int64))
    category: np.ndarray = field(default_factory=lambda: np.zeros(0, np.int64))
    box: np.ndarray = field(default_factory=lambda: np.zeros((0, 4)))
    area: np.ndarray = field(default_factory=lambda: np.zeros(0))
    crowd: np.ndarray = field(default_factory=lambda: np.zeros(0, bool))
    ignored: np.ndarray = field(default_factory=lambda: np.zeros(0, bool))
    mask_bounds: np.ndarray = field(default_factory=lambda: np.zeros((0, 4)))
    ids: np.ndarray = field(default_factory=lambda: np.zeros(0, np.int64))
    entries: dict[Hashable, int] = field(default_factory=dict)
    map_names: list[str] = field(default_factory=list)
    entry: np.ndarray = field(default_factory=lambda: np.zeros(0, np.int64))

    @classmethod
    def read(cls, path: str, name: str = 'ann_file') -> CocoFile:
        """Reads a file.

        Args:
            path (str): The file.
            name (str): What error messages call it. Defaults to 'ann_file'.

        Returns:
            CocoFile: Its summary.

        Raises:
            FileNotFoundError: If there is no such file.
            ValueError: If it is not a complete JSON file.
        """
        return _Reader(read_json(path, name, _without_masks), _begins_with_mark(path)).file


#: Topics of ``CocoFile.problems``; not all matter to all who read a file.
TOPICS = {
    'mark': 'a byte-order mark, which mmdet does not read',
    'content': 'a file that holds something else',
    'images': 'the list of images, their ids, names and sizes',
    'categories': 'the list of categories, their ids and names',
    'no list': 'annotations that are something else',
    'empty': 'no annotations, as of a test set',
    'annotations': 'the image, category and id of a row, and the segments and map of an entry',
    'boxes': 'area and box',
    'types': "what mmdet's panoptic dataset needs, and PanopticMetric does not",
    'evaluation': 'the id and iscrowd of an instance as pycocotools needs them',
    'masks': 'segmentations without a mask',
    'short polygons': 'polygons of fewer than three points before longer ones',
}


def _begins_with_mark(path: str) -> bool:
    with open(path, 'rb') as file:
        return file.read(3) == codecs.BOM_UTF8


class _Runs(NamedTuple):
    """A run-length code."""

    height: Any
    width: Any
    counts: Any


def _without_masks(entry: dict[str, Any]) -> dict[str, Any]:
    """Put what is needed to know of a mask in its place; masks are most of a file."""
    if 'segmentation' in entry:
        mask = entry['segmentation']
        if type(mask) is list:
            entry['segmentation'] = _polygons_summary(mask)
        elif type(mask) is dict:
            size, counts = mask.get('size'), mask.get('counts')
            if not isinstance(size, list) or len(size) != 2:
                size = [size, None]
            if type(counts) is list and set(map(type, counts)) <= {int}:
                counts = np.array(counts, np.int64) if max(counts, default=0) < 2**62 else None
            elif type(counts) is not str:
                counts = None
            entry['segmentation'] = _Runs(size[0], size[1], counts)
        elif mask is not None:
            entry['segmentation'] = _not_a_mask(mask)
    return entry


def _polygons_summary(polygons: list) -> tuple | str:
    """Get left, top, right, bottom and whether the first polygon is too short, or a problem."""
    if not polygons:
        return 'has no segmentation'
    left = top = float('inf')
    right = bottom = -left
    try:
        for polygon in polygons:
            # Neither text nor nested lists have a sum. That of NaN or infinity is no number.
            if not abs(sum(polygon)) < 2**63:
                return _not_a_mask(polygons)
            if len(polygon) > 5 and len(polygon) % 2 == 0:  # mmdet leaves out others
                x, y = polygon[::2], polygon[1::2]
                left, right = min(left, *x), max(right, *x)
                top, bottom = min(top, *y), max(bottom, *y)
    except (TypeError, KeyError):
        return _not_a_mask(polygons)
    if left > right:
        return _not_a_mask(polygons)
    return left, top, right, bottom, len(polygons[0]) < 5


def _not_a_mask(mask: Any) -> str:
    return (
        f'has the segmentation {show(mask)}, must be a mask, or polygons of three or more pairs of '
        'numbers'
    )


class _Reader:
    """Fills in a ``CocoFile`` from what a JSON file holds, whatever that is.

    Args:
        content (Any): What the file holds, without masks.
        has_mark (bool): Whether it begins with a byte-order mark.
    """

    def __init__(self, content: Any, has_mark: bool) -> None:
        self.file = CocoFile({topic: [] for topic in TOPICS})
        if has_mark:
            self._report('mark', ['begins with a byte-order mark; save it as UTF-8 without one'])
        if not isinstance(content, dict):
            self._report('content', [f'is not a COCO file: it holds {show(content)}'])
            return
        self._read_images(self._list(content, 'images', 'images'))
        self._read_categories(self._list(content, 'categories', 'categories'))
        self._read_annotations(self._list(content, 'annotations', 'no list'))

    def _report(self, topic: str, problems: Iterable[str]) -> None:
        self.file.problems[topic] += problems

    def _list(self, content: dict, key: str, topic: str) -> list:
        entries = content.get(key)
        if isinstance(entries, list) and entries:
            return entries
        problem = 'has no ' + key
        if key in content:
            problem = f'{key} must be a list with entries, got {show(entries)}'
        is_empty = key == 'annotations' and content.get(key, []) == []
        self._report('empty' if is_empty else topic, [problem])
        return []

    def _objects(self, entries: list, key: str, topic: str) -> list[dict]:
        if _all_of(entries, dict):
            return entries
        texts = [
            f'{key}[{index}] must be an object, got {show(entry)}'
            for index, entry in enumerate(entries)
            if not isinstance(entry, dict)
        ]
        self._report(topic, cut(texts))
        return [entry for entry in entries if isinstance(entry, dict)]

    def _read_images(self, entries: list) -> None:
        images = self._objects(entries, 'images', 'images')
        problems = []
        names: list[Any] = [image.get('file_name') for image in images]
        self.file.names = names
        sides = numbers(image.get(key) for image in images for key in ('width', 'height'))
        sides[~(sides > 0)] = np.nan
        self.file.sizes = sides.reshape(-1, 2)
        ids = [image.get('id') for image in images]
        if all(map(is_id, ids)) and len(set(ids)) == len(ids):
            self.file.images = dict(zip(ids, range(len(ids)), strict=True))
        else:
            for index, value in enumerate(ids):
                if not is_id(value):
                    problems.append((index, f'has the id {show(value)}'))
                elif value in self.file.images:
                    problems.append((index, f'has the id of another image, {value}'))
                else:
                    self.file.images[value] = index
        if not _all_of(names, str) or '' in names:
            for index, name in enumerate(names):
                if not isinstance(name, str) or not name:
                    problems.append((index, f'has the file_name {show(name)}'))
                    names[index] = ''
        for index, column in np.argwhere(np.isnan(self.file.sizes)).tolist():
            key = ('width', 'height')[column]
            problems.append((index, f'has the {key} {show(images[index].get(key))}'))
        kinds = sorted({type(value).__name__ for value in self.file.images})
        if 'str' in kinds and len(kinds) > 1:
            problems.append((0, f'has the id {show(ids[0])}, others are of another type'))
        texts = [f'images[{index}] {text}' for index, text in sorted(problems, key=lambda p: p[0])]
        self._report('images', cut(texts))

    def _read_categories(self, entries: list) -> None:
        known = set()
        problems = []
        for index, category in enumerate(self._objects(entries, 'categories', 'categories')):
            name = f'categories[{index}]'
            if not is_id(category.get('id')) or not isinstance(category.get('name'), str):
                problems.append(f'{name} needs an id and a name, got {show(category)}')
            elif category['id'] in known:
                problems.append(f'{name} has the id of another category, {category["id"]}')
            else:
                known.add(category['id'])
                self.file.categories.append(category)
        self._report('categories', cut(problems))

    def _read_annotations(self, entries: list) -> None:
        annotations = self._objects(entries, 'annotations', 'annotations')
        self.file.is_panoptic = any('segments_info' in entry for entry in annotations)
        if self.file.is_panoptic:
            self._read_segments(annotations)
        else:
            self._read_instances(annotations)

    def _read_instances(self, annotations: list[dict]) -> None:
        ids = [entry.get('id') for entry in annotations]

        def name(row: int) -> str:
            return f'annotation {show(ids[row])}'

        image_ids = [entry.get('image_id') for entry in annotations]
        self.file.image = find(self.file.images, image_ids)
        self._report_rows(
            'annotations',
            (self.file.image < 0) & bool(self.file.images),
            lambda row: f'{name(row)} is of image {show(image_ids[row])}, which is missing',
        )
        values = numbers(ids)
        if np.isnan(values).any() or len(set(ids)) < len(ids):
            self._report('annotations', cut(_id_problems(ids)))
        self._read_rows(annotations, name)

        without = [index for index, entry in enumerate(annotations) if entry.get('iscrowd') is None]
        if without:
            text = 'has no iscrowd, which pycocotools needs; add "iscrowd": 0'
            self._report('evaluation', _counted(name, without, text, len(annotations)))
        wrong = np.flatnonzero(np.isnan(values) | (values == 0)).tolist()
        if wrong:
            text = 'has an id that pycocotools takes for none, or for no number; number from 1 on'
            self._report('evaluation', _counted(name, wrong, text, len(annotations)))
        self._read_masks([entry.get('segmentation') for entry in annotations], name)

    def _read_segments(self, annotations: list[dict]) -> None:
        segments: list[dict] = []
        counts: list[int] = []
        image_ids: list[Any] = []
        problems = []
        for entry in annotations:
            image_id, found = entry.get('image_id'), entry.get('segments_info')
            name = f'annotation of image {show(image_id)}'
            map_name = entry.get('file_name')
            if not is_id(image_id):
                problems.append(f'{name} has no image_id')
            elif image_id in self.file.entries:
                problems.append(f'{name} is one of two')
            elif not isinstance(found, list) or set(map(type, found)) - {dict}:
                problems.append(f'{name} has the segments_info {show(found)}')
            else:
                if not isinstance(map_name, str) or not map_name:
                    problems.append(f'{name} has the file_name {show(map_name)}')
                    map_name = ''
                self.file.entries[image_id] = len(counts)
                self.file.map_names.append(map_name)
                image_ids.append(image_id)
                counts.append(len(found))
                segments += found
        index = find(self.file.images, image_ids)
        self._check_types([segment.get('category_id') for segment in segments])
        missing = [image_ids[entry] for entry in np.flatnonzero(index < 0)]
        if self.file.images:
            texts = [f'annotation is of image {show(one)}, which is missing' for one in missing]
            self._report('types', cut(texts))
        self._report('annotations', cut(problems))
        self.file.entry = np.repeat(np.arange(len(counts)), counts)
        self.file.image = index[self.file.entry]
        ids = [segment.get('id') for segment in segments]

        def name_of(row: int) -> str:
            return f'annotation of image {show(image_ids[self.file.entry[row]])}'

        values = numbers(ids)
        self._report_rows(
            'annotations',
            ~((values >= 1) & (values <= MAX_SEGMENT_ID) & (values % 1 == 0)),
            lambda row: (
                f'{name_of(row)} has a segment with the id {show(ids[row])}, must be a '
                f'whole number, 1 to {MAX_SEGMENT_ID}'
            ),
        )
        self.file.ids = np.where(np.isnan(values), 0, values).astype(np.int64)
        order = np.lexsort((self.file.ids, self.file.entry))
        same = (np.diff(self.file.ids[order], prepend=-1) == 0) & (
            np.diff(self.file.entry[order], prepend=-1) == 0
        )
        self._report_rows(
            'annotations',
            np.isin(np.arange(len(ids)), order[same]) & ~np.isnan(values),
            lambda row: f'{name_of(row)} has two segments with the id {show(ids[row])}',
        )
        self._read_rows(segments, name_of)

    def _check_types(self, category_ids: list) -> None:
        problems = []
        for category in self.file.categories:
            name, thing = category['name'], category.get('isthing')
            if isinstance(category['id'], str):
                text = f'category {name} has the id {show(category["id"])}, must be a whole number'
                self._report('categories', [text])
            if not isinstance(thing, (int, float)):
                problems.append(f'category {name} has the isthing {show(thing)}, must be 0 or 1')
        self._report('types', cut(problems, 1))
        ids = [category['id'] for category in self.file.categories] + category_ids
        wrong = [value for value in ids if type(value) is float]
        if wrong:
            text = f'has {len(wrong):,} ids of categories such as {wrong[0]}, must be whole numbers'
            self._report('types', [text])

    def _read_rows(self, rows: list[dict], name: Callable[[int], str]) -> None:
        """Read what instances and segments have alike."""
        file = self.file
        file.mask_bounds = np.full((len(rows), 4), np.nan)
        category_ids = [row.get('category_id') for row in rows]
        file.category = find(
            {category['id']: index for index, category in enumerate(file.categories)}, category_ids
        )
        self._report_rows(
            'annotations',
            (file.category < 0) & bool(file.categories),
            lambda row: f'{name(row)} has category {show(category_ids[row])}, which is missing',
        )
        crowd = [row.get('iscrowd') for row in rows]
        if not _all_of(crowd, int, bool, type(None)):
            self._report_rows(
                'annotations',
                np.array([not isinstance(one, (int, float, type(None))) for one in crowd]),
                lambda row: f'{name(row)} has the iscrowd {show(crowd[row])}, must be 0 or 1',
            )
        file.crowd = np.array([one not in (None, 0, '0', '') for one in crowd], bool)
        file.ignored = np.array([bool(row.get('ignore')) for row in rows], bool)
        areas = [row.get('area') for row in rows]
        file.area = numbers(areas)
        self._report_rows(
            'boxes', np.isnan(file.area), lambda row: f'{name(row)} has the area {show(areas[row])}'
        )
        boxes: list[Any] = [row.get('bbox') for row in rows]
        if not (_all_of(boxes, list) and set(map(len, boxes)) <= {4}):
            four = [np.nan] * 4
            file.box = numbers(
                chain.from_iterable(
                    box if isinstance(box, list) and len(box) == 4 else four for box in boxes
                )
            )
        else:
            file.box = numbers(chain.from_iterable(boxes))
        file.box = file.box.reshape(-1, 4)
        wrong = np.isnan(file.box).any(1)
        file.box[wrong] = np.nan
        self._report_rows(
            'boxes',
            wrong,
            lambda row: f'{name(row)} has the box {show(boxes[row])}, must be four numbers',
        )

    def _read_masks(self, masks: list, name: Callable[[int], str]) -> None:
        bounds = self.file.mask_bounds
        problems: dict[int, str] = {}
        polygons = [row for row, mask in enumerate(masks) if type(mask) is tuple]
        values = np.array([masks[row] for row in polygons], np.float64).reshape(-1, 5)
        bounds[polygons] = values[:, :4]
        short = [polygons[index] for index in np.flatnonzero(values[:, 4])]
        if short:
            text = 'has a polygon of fewer than three points first, which pycocotools does not read'
            self._report('short polygons', _counted(name, short, text, len(masks)))
        coded = [row for row, mask in enumerate(masks) if type(mask) is _Runs]
        for start in range(0, len(coded), _CHUNK):
            chunk = coded[start : start + _CHUNK]
            problems |= self._read_runs({row: masks[row] for row in chunk})
        if len(polygons) + len(coded) < len(masks):
            for row, mask in enumerate(masks):
                if mask is None or type(mask) is str:
                    problems[row] = mask or 'has no segmentation'
        self._report('masks', cut([f'{name(row)} {problems[row]}' for row in sorted(problems)]))

    def _read_runs(self, masks: dict[int, _Runs]) -> dict[int, str]:
        """Read the bounds of run-length codes, and give the problems of each row."""
        problems: dict[int, str] = {}
        texts = [row for row, mask in masks.items() if isinstance(mask.counts, str)]
        decoded = decode_all_counts([masks[row].counts for row in texts])
        counts = {row: mask.counts for row, mask in masks.items()} | dict(
            zip(texts, decoded, strict=True)
        )
        runs_of = [
            np.zeros(1, np.int64) if one is None or not len(one) else one for one in counts.values()
        ]
        starts = np.cumsum([0, *map(len, runs_of[:-1])])
        flat = np.concatenate(runs_of)
        totals, lows = np.add.reduceat(flat, starts), np.minimum.reduceat(flat, starts)
        good = []
        for (row, mask), total, low in zip(
            masks.items(), totals.tolist(), lows.tolist(), strict=True
        ):
            size = self.file.sizes[self.file.image[row]] if self.file.image[row] >= 0 else None
            if size is not None and [mask.width, mask.height] != size.tolist():
                shown = [mask.height, mask.width] if mask.width is not None else mask.height
                height_width = [_whole(side) for side in size[::-1]]
                problems[row] = (
                    f'has a mask with the size {show(shown)}, its image is {height_width} '
                    '(height, width)'
                )
            elif counts[row] is None or low < 0:
                problems[row] = 'has a mask whose counts are neither numbers nor their code'
            elif size is not None and total != mask.height * mask.width:
                problems[row] = (
                    f'has a mask whose counts add up to {total}, height * width is '
                    f'{mask.height * mask.width}'
                )
            elif size is not None:
                good.append(row)
        self.file.mask_bounds[good] = bounds_of_runs(
            [counts[row] for row in good], [masks[row].height for row in good]
        )
        return problems

    def _report_rows(self, topic: str, wrong: np.ndarray, describe: Callable[[int], str]) -> None:
        rows = np.flatnonzero(wrong).tolist()
        texts = [describe(row) for row in rows[:4]]  # no more are shown
        self._report(topic, cut(texts, more=len(rows) - len(texts)))


_CHUNK = 1_000
"""Number of masks whose run-length codes are decoded at once."""


def _id_problems(ids: list) -> Iterator[str]:
    known = set()
    for index, value in enumerate(ids):
        if not is_id(value):
            yield f'annotations[{index}] has the id {show(value)}'
        elif value in known:
            yield f'annotation {show(value)} has the id of another annotation'
        else:
            known.add(value)


def _counted(name: Callable[[int], str], rows: list[int], text: str, total: int) -> list[str]:
    if len(rows) == 1:
        return [f'{name(rows[0])} {text}']
    return [f'{name(rows[0])} {text} ({len(rows):,} of {total:,} are so)']


def numbers(values: Iterable[Any]) -> np.ndarray:
    """Make an array of numbers.

    Args:
        values (Iterable[Any]): Anything.

    Returns:
        np.ndarray: float64 (N,), NaN for what is neither an integer of 64 bits nor finite.
    """
    values = list(values)
    if not _all_of(values, int, float):
        values = [one if type(one) in (int, float) else np.nan for one in values]
    try:
        array = np.array(values, np.float64)
    except OverflowError:
        array = np.array([one if abs(one) < 2**63 else np.nan for one in values], np.float64)
    array[~(np.abs(array) < 2**63)] = np.nan
    return array


def find(index: dict[Any, int], keys: Sequence[Any]) -> np.ndarray:
    """Find the index of each key, int64 (N,), -1 for what is not there."""
    try:
        found = [index.get(key, -1) for key in keys]
    except TypeError:  # a list cannot be a key
        found = [index.get(key, -1) if is_id(key) else -1 for key in keys]
    return np.array(found, np.int64)


def _all_of(values: Iterable[Any], *kinds: type) -> bool:
    return set(map(type, values)) <= set(kinds)


def is_id(value: Any) -> bool:
    """Whether a value can be an id: a text, or a number of 64 bits."""
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        return abs(value) < 2**63
    return isinstance(value, str)


def _whole(number: float) -> float | int:
    return int(number) if number % 1 == 0 else number


def show(value: Any) -> str:
    """Format a value in short, None as in JSON."""
    return 'null' if value is None else reprlib.repr(value)
