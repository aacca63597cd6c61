"""Panoptic annotations for training, without ``panopticapi``."""

import os

import numpy as np
from mmdet.datasets.transforms import LoadAnnotations, LoadPanopticAnnotations
from mmdet.registry import TRANSFORMS
from mmdet.structures.mask import BitmapMasks

from ..utils.coco_panoptic import IGNORE_INDEX, Segments, find_segments, map_name, read_id_map


@TRANSFORMS.register_module()
class LoadCocoPanopticAnnotations(LoadPanopticAnnotations):
    """mmdet's ``LoadPanopticAnnotations`` without ``panopticapi``, which is not on PyPI.

    Adds ``gt_masks`` (things that are not crowds) and ``gt_seg_map`` (labels, uint8, 255 =
    ignored) from the PNG file; see the stock class for the keys.

    Args:
        with_bbox (bool): Whether to load boxes. Defaults to True.
        with_label (bool): Whether to load the boxes' labels. Defaults to True.
        with_mask (bool): Whether to load masks. Defaults to True.
        with_seg (bool): Whether to load the semantic map. Defaults to True.
        box_type (str): See the stock class. Defaults to 'hbox'.

    Raises:
        FileNotFoundError: If the PNG file is missing.
        ValueError: If it cannot be read, its size is not that of the image, or its ids are not
            those of the annotation.
    """

    def __init__(
        self,
        with_bbox: bool = True,
        with_label: bool = True,
        with_mask: bool = True,
        with_seg: bool = True,
        box_type: str = 'hbox',
    ):
        # The constructor of the stock class requires panopticapi.
        LoadAnnotations.__init__(
            self,
            with_bbox=with_bbox,
            with_label=with_label,
            with_mask=with_mask,
            with_seg=with_seg,
            box_type=box_type,
        )

    def _load_masks_and_semantic_segs(self, results: dict) -> None:
        path = results.get('seg_map_path')
        if path is None:
            return
        # mmdet looks for a.JPG where the image is a.JPG.
        path = os.path.join(os.path.dirname(path), map_name(os.path.basename(path)))
        infos = results['segments_info']
        id_map = read_id_map(path)
        size = (results['height'], results['width'])
        if id_map.shape != size:
            raise ValueError(f'{path} has (H, W) = {id_map.shape}, its annotation has {size}')
        ids = [info['id'] for info in infos]
        labels = [info['category'] for info in infos]
        try:
            index_map = find_segments(Segments.make(id_map, ids, labels))
        except ValueError as error:
            raise ValueError(
                f'{path} does not fit its annotation: {error}; both must come from the same release'
            ) from error
        if self.with_mask:
            things = [index for index, info in enumerate(infos, 1) if info['is_thing']]
            masks = [(index_map == index).astype(np.uint8) for index in things]
            results['gt_masks'] = BitmapMasks(masks, *size)
        if self.with_seg:
            results['gt_seg_map'] = np.array([IGNORE_INDEX, *labels], np.uint8)[index_map]
