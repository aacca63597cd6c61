"""Predictions and truths drawn by the visualizers of mmseg and mmdet."""

import copy
import warnings
from typing import Any

import numpy as np
from mmengine.registry import VISUALIZERS
from mmengine.visualization import Visualizer

from .arrays import to_numpy
from .label_maps import SCORE

# mmdet draws lines and names of a fixed size in pixels: smaller images are enlarged.
_LEAST_SIDE = 320


def draw_sample(sample: Any, which: str, image: np.ndarray, meta: dict) -> np.ndarray:
    """Draws a prediction, or the truth, over its image.

    Args:
        sample (SegDataSample or DetDataSample): With a semantic map, a panoptic one, or instances;
            of a panoptic sample that map alone is drawn.
        which (str): 'pred' or 'gt'.
        image (np.ndarray): RGB, uint8 (H, W, 3).
        meta (dict): ``classes`` and ``palette``.

    Returns:
        np.ndarray: RGB, uint8; a multiple of the image's size for a small image of mmdet.
    """
    draw = dict(draw_gt=which == 'gt', draw_pred=which == 'pred')
    if is_semantic(sample):
        visualizer = _visualizer('mmseg.SegLocalVisualizer')
        visualizer.alpha = 0.7
        draw['with_labels'] = False
    else:
        visualizer = _visualizer('mmdet.DetLocalVisualizer')
        visualizer.alpha = 0.6
        visualizer.line_width = 2
        draw['pred_score_thr'] = SCORE
        factor = -(-_LEAST_SIDE // max(image.shape[:2]))
        sample, image = _enlarge(sample, which, factor), _repeat(image, factor, (0, 1))
    visualizer.dataset_meta = meta
    visualizer.add_datasample('sample', image, sample, **draw)
    return visualizer.get_image()


def is_semantic(sample: Any) -> bool:
    """Tells whether a sample is one of mmseg."""
    return type(sample).__module__.startswith('mmseg.')


def _visualizer(kind: str) -> Visualizer:
    with warnings.catch_warnings():
        # That it saves nothing: it has no backends.
        warnings.simplefilter('ignore')
        return VISUALIZERS.build(dict(type=kind, name=f'sapa_mm {kind}'))


def _enlarge(sample: Any, which: str, factor: int) -> Any:
    """A copy of a sample of mmdet with what is drawn of it, enlarged."""
    enlarged = type(sample)()
    panoptic, instances = (sample.get(f'{which}_{what}') for what in ('panoptic_seg', 'instances'))
    if panoptic is not None:
        panoptic = type(panoptic)(sem_seg=_repeat(to_numpy(panoptic.sem_seg), factor, (1, 2)))
        enlarged.set_field(panoptic, f'{which}_panoptic_seg', type(panoptic))
        return enlarged
    instances = copy.copy(instances.cpu())
    instances.bboxes = instances.bboxes * factor
    if 'masks' in instances:
        instances.masks = _repeat(to_numpy(instances.masks), factor, (1, 2))
    enlarged.set_field(instances, f'{which}_instances', type(instances))
    return enlarged


def _repeat(array: np.ndarray, factor: int, axes: tuple[int, int]) -> np.ndarray:
    for axis in axes:
        array = array.repeat(factor, axis)
    return array
