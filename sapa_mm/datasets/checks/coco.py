"""Thorough checks of COCO annotation files, of instances or panoptic segments."""

import reprlib
from collections import Counter
from collections.abc import Iterator
from typing import Any

from ...utils.files import read_json
from ...utils.text import first_of
from .files import find_dataset
from .report import ReportLine, shorten

_LISTS = ('images', 'annotations', 'categories')


def inspect_coco(path: str, config: dict) -> list[ReportLine]:
    """Check a COCO file. No image is opened.

    Args:
        path (str): The file.
        config (dict): The config of its dataset.

    Returns:
        list[ReportLine]: The errors and notes; empty if the file is correct.
    """
    try:
        content = read_json(path, 'ann_file')
    except ValueError as error:
        return [ReportLine('error', str(error))]
    if not isinstance(content, dict):
        return [ReportLine('error', f'{path} is not a COCO file: it holds {_show(content)}')]
    lacking = [key for key in _LISTS if key not in content]
    if lacking:
        return [ReportLine('error', f'{path} has no {", ".join(lacking)}')]
    wrong = [key for key in _LISTS if not isinstance(content[key], list) or not content[key]]
    if wrong:
        # Without images or annotations there is nothing to train on.
        texts = [f'{path}: {k} must be a list with entries, got {_show(content[k])}' for k in wrong]
        return [ReportLine('error', text) for text in texts]
    return _CocoFile(path, content, config).inspect()


class _CocoFile:
    """A COCO file with its three lists.

    Args:
        path (str): The file.
        content (dict): What it holds.
        config (dict): The config of its dataset.
    """

    def __init__(self, path: str, content: dict, config: dict) -> None:
        self._path, self._content, self._config = path, content, config
        self._with_mask = any(step.get('with_mask') for step in config.get('pipeline', []))
        self._images: dict[Any, dict] = {}
        self._categories: dict[Any, Any] = {}
        #: Number of boxes or segments of each category.
        self._counts: Counter = Counter()
        self._is_panoptic = False

    def inspect(self) -> list[ReportLine]:
        file_problems = shorten([*self._image_problems(), *self._category_problems()])
        annotation_problems = shorten(list(self._annotation_problems()))
        return [
            *(ReportLine('error', f'{self._path}{text}') for text in file_problems),
            *self._compare_classes(),
            *(ReportLine('error', f'{self._path}: {text}') for text in annotation_problems),
        ]

    def _image_problems(self) -> Iterator[str]:
        for index, image in enumerate(self._content['images']):
            name = f': images[{index}]'
            if not isinstance(image, dict):
                yield f'{name} must be an object, got {_show(image)}'
                continue
            if not _is_id(image.get('id')):
                yield f'{name} has the id {_show(image.get("id"))}'
            elif image['id'] in self._images:
                yield f'{name} has the id of another image, {image["id"]}'
            else:
                self._images[image['id']] = image
            if not isinstance(image.get('file_name'), str):
                yield f'{name} has the file_name {_show(image.get("file_name"))}'
            for key in ('width', 'height'):
                if not _is_number(image.get(key)) or image[key] <= 0:
                    yield f'{name} has the {key} {_show(image.get(key))}'

    def _category_problems(self) -> Iterator[str]:
        for index, category in enumerate(self._content['categories']):
            name = f': categories[{index}]'
            if not isinstance(category, dict):
                yield f'{name} must be an object, got {_show(category)}'
            elif not _is_id(category.get('id')) or not isinstance(category.get('name'), str):
                yield f'{name} needs an id and a name, got {_show(category)}'
            elif category['id'] in self._categories:
                yield f'{name} has the id of another category, {category["id"]}'
            else:
                self._categories[category['id']] = category['name']

    def _annotation_problems(self) -> Iterator[str]:
        ids = set()
        for index, annotation in enumerate(self._content['annotations']):
            if not isinstance(annotation, dict):
                yield f'annotations[{index}] must be an object, got {_show(annotation)}'
                continue
            image_id = annotation.get('image_id')
            image = self._images.get(image_id) if _is_id(image_id) else None
            # Panoptic files have one entry per image, with its segments.
            if 'segments_info' in annotation:
                self._is_panoptic = True
                name = f'annotation of image {_show(image_id)}'
                entries = annotation['segments_info']
                if not isinstance(entries, list) or not all(isinstance(e, dict) for e in entries):
                    yield f'{name} has the segments_info {_show(entries)}'
                    continue
            else:
                name, entries = f'annotation {_show(annotation.get("id"))}', [annotation]
                if not _is_id(annotation.get('id')):
                    yield f'annotations[{index}] has the id {_show(annotation.get("id"))}'
                elif annotation['id'] in ids:
                    yield f'{name} has the id of another annotation'
                else:
                    ids.add(annotation['id'])
            if image is None:
                yield f'{name} is of image {_show(image_id)}, which is missing'
                continue
            for entry in entries:
                yield from (f'{name} {text}' for text in self._entry_problems(entry, image))

    def _entry_problems(self, entry: dict, image: dict) -> Iterator[str]:
        """Find what is wrong with a box or a segment."""
        category = entry.get('category_id')
        if not _is_id(category) or category not in self._categories:
            yield f'has category {_show(category)}, which is missing'
        else:
            self._counts[self._categories[category]] += 1
        # mmdet's datasets read both area and box.
        if not _is_number(entry.get('area')):
            yield f'has the area {_show(entry.get("area"))}'
        yield from _box_problems(entry.get('bbox'), image)
        if self._with_mask and not self._is_panoptic:
            yield from _mask_problems(entry.get('segmentation'), image)

    def _compare_classes(self) -> Iterator[ReportLine]:
        classes = (self._config.get('metainfo') or {}).get('classes')
        if classes is None:
            metainfo = getattr(find_dataset(self._config.get('type')), 'METAINFO', {})
            classes = metainfo.get('classes', ())
        missing = sorted(set(classes) - set(self._categories.values()))
        if missing:
            text = f'has no category for {len(missing)} of the classes: {first_of(missing)}'
            yield ReportLine('error', f'{self._path} {text}')
        others = {name: n for name, n in self._counts.items() if name not in classes}
        if others:
            counts = [f'{name} ({count:,})' for name, count in sorted(others.items())]
            # Boxes of other categories are skipped; panoptic datasets fail to load with them.
            kind = 'error' if self._is_panoptic else 'note'
            text = 'has annotations of categories that are not among the classes'
            yield ReportLine(kind, f'{self._path} {text}: {first_of(counts)}')


def _box_problems(box: Any, image: dict) -> Iterator[str]:
    if not isinstance(box, list) or len(box) != 4 or not all(map(_is_number, box)):
        yield f'has the box {_show(box)}, must be four numbers'
        return
    x, y, width, height = box
    if width <= 0 or height <= 0:
        yield f'has a box of {width} x {height}'
    elif not (_is_number(image.get('width')) and _is_number(image.get('height'))):
        return  # reported with the image
    # Boxes may be rounded.
    elif min(x, y) < -1 or x + width > image['width'] + 1 or y + height > image['height'] + 1:
        size = f'{image["width"]}x{image["height"]}'
        yield f'has the box {box}, outside the image, {size} (width x height)'


def _mask_problems(mask: Any, image: dict) -> Iterator[str]:
    if not mask:
        yield 'has no segmentation'
    elif isinstance(mask, dict):
        size = [image.get('height'), image.get('width')]
        if mask.get('size') != size or not isinstance(mask.get('counts'), (list, str)):
            yield (
                f'has a mask with the size {_show(mask.get("size"))} and counts '
                f'{_show(mask.get("counts"))}, its image is {_show(size)} (height, width)'
            )
    elif not isinstance(mask, list) or not all(map(_is_polygon, mask)):
        yield (
            f'has the segmentation {_show(mask)}, must be a mask, or polygons of three or more '
            'pairs of numbers'
        )


def _is_polygon(polygon: Any) -> bool:
    return (
        isinstance(polygon, list)
        and len(polygon) >= 6
        and len(polygon) % 2 == 0
        and all(map(_is_number, polygon))
    )


def _is_number(value: Any) -> bool:
    # Neither NaN, infinity nor an integer that numpy has no type for.
    return isinstance(value, (int, float)) and not isinstance(value, bool) and abs(value) < 2**63


def _is_id(value: Any) -> bool:
    return isinstance(value, str) or _is_number(value)


def _show(value: Any) -> str:
    """Format a value in short, None as in JSON."""
    if value is None:
        return 'null'
    return reprlib.repr(value)
