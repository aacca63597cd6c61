"""Scenes in COCO's instance and panoptic formats."""

from __future__ import annotations

import numpy as np

from .categories import CATEGORIES
from .scene import Scene


def encode_rle(mask: np.ndarray) -> dict:
    """Uncompressed run-length encoding of a mask, as read by pycocotools' ``frPyObjects``.

    Args:
        mask (np.ndarray): Bool (H, W).

    Returns:
        dict: ``size`` as [H, W] and ``counts``, the lengths of alternating runs of zeros
        and ones, zeros first, down the columns.
    """
    flat = np.asarray(mask, dtype=bool).ravel(order='F')
    changes = np.flatnonzero(flat[1:] != flat[:-1]) + 1
    bounds = np.concatenate([[0], changes, [flat.size]])
    counts = np.diff(bounds).tolist()
    if flat[0]:
        counts = [0, *counts]
    return {'size': list(mask.shape), 'counts': counts}


def thing_categories() -> list[dict]:
    """The ``categories`` of the instance files: the things, with COCO's keys.

    Returns:
        list[dict]: ``id``, ``name`` and ``supercategory`` of each thing.
    """
    return [
        {'id': category.id, 'name': category.name, 'supercategory': 'thing'}
        for category in CATEGORIES
        if category.isthing
    ]


def panoptic_categories() -> list[dict]:
    """The ``categories`` of the panoptic files: all classes, with COCO's keys.

    Returns:
        list[dict]: ``id``, ``name``, ``supercategory``, ``isthing`` (0 or 1) and ``color`` of
        each class.
    """
    return [
        {
            'id': category.id,
            'name': category.name,
            'supercategory': 'thing' if category.isthing else 'stuff',
            'isthing': int(category.isthing),
            'color': list(category.color),
        }
        for category in CATEGORIES
    ]


def instance_annotations(scene: Scene, image_id: int, first_id: int) -> list[dict]:
    """The entries of one scene in the ``annotations`` of an instance file.

    Args:
        scene (Scene): The scene.
        image_id (int): Id of its image in the file.
        first_id (int): Id of the first entry, 1 or more (COCO's evaluation takes 0 for "no
            match"); the others count up from it.

    Returns:
        list[dict]: One entry per instance.
    """
    return [
        {
            'id': annotation_id,
            'image_id': image_id,
            'category_id': segment.category_id,
            'segmentation': encode_rle(scene.mask(segment)),
            'area': segment.area,
            'bbox': list(segment.bbox),
            'iscrowd': 0,
        }
        for annotation_id, segment in enumerate(scene.instances, start=first_id)
    ]


def panoptic_annotation(scene: Scene, image_id: int, file_name: str) -> dict:
    """The entry of one scene in the ``annotations`` of a panoptic file.

    Args:
        scene (Scene): The scene.
        image_id (int): Id of its image in the file.
        file_name (str): Name of its panoptic PNG.

    Returns:
        dict: The entry, with one item per segment in ``segments_info``.
    """
    segments_info = [
        {
            'id': segment.id,
            'category_id': segment.category_id,
            'area': segment.area,
            'bbox': list(segment.bbox),
            'iscrowd': 0,
        }
        for segment in scene.segments
    ]
    return {'image_id': image_id, 'file_name': file_name, 'segments_info': segments_info}
