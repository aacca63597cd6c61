"""COCO's panoptic format: one PNG of segment ids per image, and one JSON file."""

from __future__ import annotations

import json
import os
from collections.abc import Collection, Hashable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from .coco_file import CocoFile
from .files import whole_file, write_image
from .text import first_of

VOID = 0
"""Segment id of pixels without a label in the truth, and without a prediction."""

INSTANCE_OFFSET = 1000
"""mmdet's panoptic maps hold label + instance * INSTANCE_OFFSET; see ``Segments``."""

IGNORE_INDEX = 255
"""Label of pixels that the losses and metrics of the host libraries ignore."""


def id2rgb(ids: np.ndarray) -> np.ndarray:
    """Segment ids as the colours of a COCO panoptic PNG.

    Args:
        ids (np.ndarray): Segment ids below 2**24, any integer dtype and shape.

    Returns:
        np.ndarray: uint8, ``ids.shape + (3,)``, with id = R + 256 G + 65536 B.
    """
    ids = np.asarray(ids)
    return np.stack([ids & 255, ids >> 8 & 255, ids >> 16 & 255], axis=-1).astype(np.uint8)


def rgb2id(rgb: np.ndarray) -> np.ndarray:
    """Segment ids from the colours of a COCO panoptic PNG; undoes ``id2rgb``.

    Args:
        rgb (np.ndarray): Colours, integer (..., 3), channels in the order R, G, B.

    Returns:
        np.ndarray: Segment ids, int32 (...).
    """
    rgb = np.asarray(rgb).astype(np.int32)
    return rgb[..., 0] + 256 * rgb[..., 1] + 65536 * rgb[..., 2]


@dataclass(frozen=True)
class Segments:
    """The segments of one image.

    Attributes:
        id_map (np.ndarray): Segment id of each pixel, integer (H, W); 0 is VOID.
        ids (np.ndarray): Ids of the segments, int64 (S,), distinct and not 0. Exactly these
            occur in the map.
        labels (np.ndarray): Class of each segment, int64 (S,).
        crowd (np.ndarray): Whether it is a crowd, bool (S,).
    """

    id_map: np.ndarray
    ids: np.ndarray
    labels: np.ndarray
    crowd: np.ndarray

    @classmethod
    def make(
        cls,
        id_map: np.ndarray,
        ids: ArrayLike,
        labels: ArrayLike,
        crowd: ArrayLike | None = None,
    ) -> Segments:
        """Makes them from sequences; by default none is a crowd."""
        ids = np.asarray(ids, np.int64)
        is_crowd = np.zeros(len(ids), bool) if crowd is None else np.asarray(crowd, bool)
        return cls(id_map, ids, np.asarray(labels, np.int64), is_crowd)

    @classmethod
    def from_panoptic_map(cls, panoptic_map: np.ndarray, void: Collection[int]) -> Segments:
        """Splits a panoptic map of mmdet into its segments.

        Args:
            panoptic_map (np.ndarray): label + instance * 1000 of each pixel, integer (H, W).
            void (Collection[int]): Labels of pixels without a segment.

        Returns:
            Segments: With ids from 1 on.
        """
        values = np.flatnonzero(np.bincount(panoptic_map.ravel()))
        values = values[~np.isin(panoptic_labels(values), list(void))]
        ids = np.arange(1, len(values) + 1)
        id_of = np.zeros(panoptic_map.max(initial=0) + 1, np.int64)
        id_of[values] = ids
        return cls.make(id_of[panoptic_map], ids, panoptic_labels(values))

    def to_panoptic_map(self, void: int) -> np.ndarray:
        """Makes a panoptic map of mmdet; the instances are numbered from 1 on.

        Args:
            void (int): Label of pixels without a segment.

        Returns:
            np.ndarray: label + instance * 1000 of each pixel, int64 (H, W).
        """
        panoptic_map = np.full(self.id_map.shape, void, np.int64)
        for instance, (segment, label) in enumerate(zip(self.ids, self.labels, strict=True), 1):
            panoptic_map[self.id_map == segment] = label + instance * INSTANCE_OFFSET
        return panoptic_map


def panoptic_labels(panoptic_map: np.ndarray) -> np.ndarray:
    """The labels in a panoptic map of mmdet, label + instance * 1000."""
    return panoptic_map % INSTANCE_OFFSET


class PanopticTruth:
    """The true segments of a dataset, read image by image.

    Args:
        ann_file (str): JSON file in COCO's panoptic format.
        seg_prefix (str, optional): Folder of its PNG files. None if only the categories are needed.
            Defaults to None.

    Raises:
        FileNotFoundError: If the file or the folder is missing.
        ValueError: If the file is not a complete JSON file, or not in the panoptic format.

    Attributes:
        categories (list[dict]): With ``id``, ``name`` and ``isthing``, a bool, or None where the
            file does not say it.
    """

    def __init__(self, ann_file: str, seg_prefix: str | None = None):
        if seg_prefix is not None and not os.path.isdir(seg_prefix):
            raise FileNotFoundError(f'seg_prefix: no folder {seg_prefix}')
        self._file = CocoFile.read(ann_file)
        self._folder = seg_prefix or ''
        # A test set has no annotations, only categories.
        topics = ['content', 'categories']
        if seg_prefix is not None:
            topics += ['no list', 'empty', 'annotations']
        problems = [problem for topic in topics for problem in self._file.problems[topic]]
        if len(self._file.image) and not self._file.is_panoptic:
            problems.insert(0, 'is not panoptic: it has no segments_info')
        if problems:
            raise ValueError(f'ann_file: {ann_file}: {problems[0]}')
        self.categories = [
            {**one, 'id': int(one['id']), 'isthing': is_thing(one.get('isthing'))}
            for one in self._file.categories
        ]

    @property
    def image_names(self) -> dict[Hashable, str]:
        """The ``file_name`` of each image's id, of the images that the file lists."""
        return {key: self._file.names[index] for key, index in self._file.images.items()}

    def read(self, image_id: Hashable, labels: dict[int, int]) -> Segments:
        """Reads the segments of an image.

        Args:
            image_id (int or str): Id of the image.
            labels (dict[int, int]): Label of each category id. Segments of other categories
                become VOID.

        Returns:
            Segments: The segments.

        Raises:
            FileNotFoundError: If its PNG is missing.
            ValueError: If the image has no annotation, or its PNG cannot be read.
        """
        file = self._file
        if image_id not in file.entries:
            raise ValueError(f'ann_file has no annotation of the image with id {image_id}')
        entry = file.entries[image_id]
        id_map = read_id_map(os.path.join(self._folder, file.map_names[entry]))
        rows = slice(*np.searchsorted(file.entry, [entry, entry + 1]))
        label_of = np.array([labels.get(one['id'], -1) for one in self.categories])
        ids, found = file.ids[rows], label_of[file.category[rows]]
        known = found >= 0
        if not known.all():
            id_map = np.where(np.isin(id_map, ids[~known]), 0, id_map)
        return Segments.make(id_map, ids[known], found[known], file.crowd[rows][known])


def is_thing(value: Any) -> bool | None:
    """Read the ``isthing`` of a category, which is a text in some files; None if it has none."""
    if value is None:
        return None
    return str(value).strip().lower() not in ('0', '0.0', 'false', '')


def map_name(image: str) -> str:
    """The name of the panoptic map of an image: .png for .jpg, as mmdet has it, or another."""
    name = image.replace('.jpg', '.png')
    return name if name.endswith('.png') else f'{os.path.splitext(name)[0]}.png'


def read_id_map(path: str) -> np.ndarray:
    """Reads the segment ids, int32 (H, W), of a panoptic PNG.

    Args:
        path (str): The file.

    Returns:
        np.ndarray: id = R + 256 G + 65536 B.

    Raises:
        FileNotFoundError: If it is missing.
        ValueError: If it cannot be read.
    """
    from PIL import Image, UnidentifiedImageError

    if not os.path.isfile(path):
        raise FileNotFoundError(f'no panoptic map {path}')
    try:
        with Image.open(path) as image:
            return rgb2id(np.asarray(image.convert('RGB')))
    except (UnidentifiedImageError, OSError, SyntaxError, Image.DecompressionBombError) as error:
        raise ValueError(f'{path} cannot be read as an image: {error}') from error


def write_id_map(path: str, id_map: np.ndarray) -> None:
    """Writes segment ids (H, W) below 2**24 as a panoptic PNG, whole or not at all."""
    # Two workers may write the same image: a distributed sampler repeats images.
    write_image(path, id2rgb(id_map), format='PNG')


def describe_segments(segments: Segments, category_ids: Sequence[int]) -> list[dict]:
    """The ``segments_info`` of an image.

    Args:
        segments (Segments): Its segments.
        category_ids (Sequence[int]): Category id of each label.

    Returns:
        list[dict]: ``id``, ``category_id``, ``area``, ``bbox`` ([x, y, width, height] in pixels)
        and ``iscrowd`` of each segment.
    """
    described = []
    for number, label, crowd in zip(segments.ids, segments.labels, segments.crowd, strict=True):
        y, x = np.nonzero(segments.id_map == number)
        left, top = x.min(), y.min()
        box = (left, top, x.max() - left + 1, y.max() - top + 1)
        described.append(
            {
                'id': int(number),
                'category_id': int(category_ids[label]),
                'area': len(x),
                'bbox': [int(side) for side in box],
                'iscrowd': int(crowd),
            }
        )
    return described


def write_annotations(path: str, annotations: list[dict], categories: list[dict]) -> None:
    """Writes the JSON file of predictions, whole or not at all.

    Args:
        path (str): The file.
        annotations (list[dict]): ``image_id``, ``file_name`` and ``segments_info`` of each image.
        categories (list[dict]): The categories of the truth.
    """
    images = [{'id': entry['image_id'], 'file_name': entry['file_name']} for entry in annotations]
    content = {'images': images, 'annotations': annotations, 'categories': categories}
    with whole_file(path) as partial, open(partial, 'w') as file:
        json.dump(content, file)


def find_segments(segments: Segments, name: str = 'map') -> np.ndarray:
    """Finds which segment each pixel belongs to.

    Args:
        segments (Segments): The segments of an image.
        name (str): What error messages call the map. Defaults to 'map'.

    Returns:
        np.ndarray: int64 (H, W): 0 for VOID, otherwise 1 + the index in ``segments.ids``.

    Raises:
        ValueError: If the ids repeat or contain 0, the map has an id that is not among them, or one
            of them is not in the map.
    """
    known, indices = np.unique(np.append(segments.ids, VOID), return_index=True)
    if len(known) != len(segments.ids) + 1:
        raise ValueError(f'the ids of the {name} must be distinct and not {VOID}')
    sorted_index = np.searchsorted(known, segments.id_map)
    sorted_index[sorted_index == len(known)] = 0
    unknown = known[sorted_index] != segments.id_map
    if unknown.any():
        ids = np.unique(segments.id_map[unknown])
        raise ValueError(
            f'the {name} has {_listed(ids)} among its pixels but not among its segments'
        )
    index_of = (indices + 1) % len(known)
    index_map = index_of[sorted_index]
    missing = np.bincount(index_map.ravel(), minlength=len(known))[1:] == 0
    if missing.any():
        ids = segments.ids[missing]
        raise ValueError(
            f'the {name} has {_listed(ids)} among its segments but not among its pixels'
        )
    return index_map


def _listed(ids: np.ndarray) -> str:
    return f'{len(ids)} id(s), {first_of(ids.tolist())},'
