"""Draw predictions and ground truth by the visualizers of mmseg and mmdet."""

import copy
import warnings
from typing import Any

import numpy as np
from mmengine.registry import VISUALIZERS
from mmengine.visualization import Visualizer

from ..engine.pictures import add_picture, is_semantic
from .label_maps import MIN_SCORE, to_numpy

# mmdet draws lines and names of a fixed size in pixels, so smaller images are enlarged.
_MIN_SIDE = 320
# A panel of a figure has fewer pixels, and mmseg takes a gigabyte to blend a photograph.
_MAX_SIDE = 2048


def draw_data_sample(sample: Any, prefix: str, pixels: np.ndarray, meta: dict) -> np.ndarray:
    """Draws a prediction, or the ground truth, over its image.

    Args:
        sample (SegDataSample or DetDataSample): With a semantic map, a panoptic map, or instances;
            of a panoptic sample only the panoptic map is drawn.
        prefix (str): Prefix of the sample's fields: 'pred' for a prediction, 'gt' for ground truth.
        pixels (np.ndarray): The image, RGB, uint8 (H, W, 3).
        meta (dict): ``classes`` and ``palette``.

    Returns:
        np.ndarray: RGB, uint8; small images are enlarged by a whole factor for mmdet, of large ones
        with a semantic map every n-th pixel is taken.
    """
    draw = dict(draw_gt=prefix == 'gt', draw_pred=prefix == 'pred')
    if is_semantic(sample):
        visualizer = _visualizer('mmseg.SegLocalVisualizer')
        visualizer.alpha = 0.7
        draw['with_labels'] = False
        step = -(-max(pixels.shape[:2]) // _MAX_SIDE)
        sample, pixels = _thin_out(sample, prefix, step), pixels[::step, ::step]
    else:
        visualizer = _visualizer('mmdet.DetLocalVisualizer')
        visualizer.alpha = 0.6
        visualizer.line_width = 2
        factor = -(-_MIN_SIDE // max(pixels.shape[:2]))
        sample, pixels = _enlarge(sample, prefix, factor), _repeat(pixels, factor, (0, 1))
    visualizer.dataset_meta = meta
    add_picture(visualizer, pixels, sample, MIN_SCORE, **draw)
    return visualizer.get_image()


def comparable_truth(truth: Any, prediction: Any) -> Any:
    """Removes masks from the ground truth where the prediction has only boxes.

    Args:
        truth (SegDataSample or DetDataSample): The ground truth.
        prediction (SegDataSample or DetDataSample): A model's prediction.

    Returns:
        SegDataSample or DetDataSample: The ground truth, or a copy without masks.
    """
    predicted, instances = prediction.get('pred_instances'), truth.get('gt_instances')
    if instances is None or 'masks' not in instances or predicted is None or 'masks' in predicted:
        return truth
    truth = truth.clone()
    del truth.gt_instances.masks
    return truth


def _visualizer(kind: str) -> Visualizer:
    with warnings.catch_warnings():
        # Without backends it warns that it saves nothing.
        warnings.simplefilter('ignore')
        return VISUALIZERS.build(dict(type=kind, name=f'sapa_mm {kind}'))


def _thin_out(sample: Any, prefix: str, step: int) -> Any:
    """Copies the drawn field of an mmseg data sample, with every n-th pixel of it."""
    thin = type(sample)()
    labels = sample.get(f'{prefix}_sem_seg')
    if labels is not None:
        labels = type(labels)(data=labels.data[:, ::step, ::step])
        thin.set_field(labels, f'{prefix}_sem_seg', type(labels))
    return thin


def _enlarge(sample: Any, prefix: str, factor: int) -> Any:
    """Copies the drawn fields of an mmdet data sample, enlarged."""
    enlarged = type(sample)()
    panoptic = sample.get(f'{prefix}_panoptic_seg')
    if panoptic is not None:
        panoptic = type(panoptic)(sem_seg=_repeat(to_numpy(panoptic.sem_seg), factor, (1, 2)))
        enlarged.set_field(panoptic, f'{prefix}_panoptic_seg', type(panoptic))
        return enlarged
    instances = copy.copy(sample.get(f'{prefix}_instances').cpu())
    instances.bboxes = instances.bboxes * factor
    if 'masks' in instances:
        instances.masks = _repeat(to_numpy(instances.masks), factor, (1, 2))
    enlarged.set_field(instances, f'{prefix}_instances', type(instances))
    return enlarged


def _repeat(array: np.ndarray, factor: int, axes: tuple[int, int]) -> np.ndarray:
    for axis in axes:
        array = array.repeat(factor, axis)
    return array
