"""COCO's panoptic format: one PNG of segment ids per image, and one JSON file."""

import json
import os
from collections.abc import Sequence

import numpy as np
from PIL import Image, UnidentifiedImageError

from ..datasets.scenes.coco import id2rgb, rgb2id
from ..evaluation.panoptic_quality import Segments
from .whole_file import whole_file


class PanopticTruth:
    """The true segments of a dataset, read image by image.

    Args:
        ann_file (str): JSON file in COCO's panoptic format.
        seg_prefix (str, optional): Folder of its PNG files. None if only the categories are asked
            for. Defaults to None.

    Raises:
        FileNotFoundError: If the file or the folder is missing.
        ValueError: If the file is no complete JSON file, or not in the panoptic format.

    Attributes:
        categories (list[dict]): With ``id``, ``name`` and ``isthing``.
    """

    def __init__(self, ann_file: str, seg_prefix: str | None = None):
        if not os.path.isfile(ann_file):
            raise FileNotFoundError(f'ann_file: no file {ann_file}')
        if seg_prefix is not None and not os.path.isdir(seg_prefix):
            raise FileNotFoundError(f'seg_prefix: no folder {seg_prefix}')
        try:
            with open(ann_file) as file:
                content = json.load(file)
        except ValueError as error:
            raise ValueError(
                f'ann_file: {ann_file} is not a complete JSON file ({error})'
            ) from error
        # A test set has no annotations, only categories.
        needed = {'categories'} if seg_prefix is None else {'categories', 'annotations'}
        entry_keys = {'image_id', 'file_name', 'segments_info'}
        if (
            not isinstance(content, dict)
            or not needed <= content.keys()
            or not all(entry_keys <= entry.keys() for entry in content.get('annotations', []))
        ):
            raise ValueError(
                f"ann_file: {ann_file} is not in COCO's panoptic format: it needs categories, and "
                'annotations with segments_info, image_id and file_name'
            )
        self.categories = content['categories']
        self._folder = seg_prefix
        self._annotations = {entry['image_id']: entry for entry in content.get('annotations', [])}

    def read(self, image_id: int, labels: dict[int, int]) -> Segments:
        """Reads the segments of an image.

        Args:
            image_id (int): Id of the image.
            labels (dict[int, int]): Label of each category id. Segments of other categories
                become VOID.

        Returns:
            Segments: The segments.

        Raises:
            FileNotFoundError: If its PNG is missing.
            ValueError: If the image has no annotation, or its PNG cannot be read.
        """
        if image_id not in self._annotations:
            raise ValueError(f'ann_file has no annotation of the image with id {image_id}')
        entry = self._annotations[image_id]
        id_map = read_id_map(os.path.join(self._folder, entry['file_name']))
        known = [s for s in entry['segments_info'] if s['category_id'] in labels]
        others = [s['id'] for s in entry['segments_info'] if s['category_id'] not in labels]
        if others:
            id_map = np.where(np.isin(id_map, others), 0, id_map)
        return Segments.make(
            id_map,
            [segment['id'] for segment in known],
            [labels[segment['category_id']] for segment in known],
            [segment.get('iscrowd', 0) for segment in known],
        )


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
    if not os.path.isfile(path):
        raise FileNotFoundError(f'no panoptic map {path}')
    try:
        with Image.open(path) as image:
            return rgb2id(np.asarray(image.convert('RGB')))
    except (UnidentifiedImageError, OSError, SyntaxError) as error:
        raise ValueError(f'{path} cannot be read as an image: {error}') from error


def write_id_map(path: str, id_map: np.ndarray) -> None:
    """Writes segment ids (H, W) below 2**24 as a panoptic PNG, whole or not at all."""
    # Two workers may write one image at a time: a distributed sampler repeats images.
    with whole_file(path) as partial:
        Image.fromarray(id2rgb(id_map)).save(partial, format='PNG')


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
