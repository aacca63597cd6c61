"""What a depth model must beat: each pixel's median over the training set."""

import numpy as np
import torch
from mmengine.config import Config
from mmengine.registry import DATASETS, METRICS

from ..engine.config import in_scope
from ..utils.configs import type_name


def evaluate_median(cfg: Config) -> dict[str, float]:
    """Evaluate, on the validation set, the same prediction for all images.

    Args:
        cfg (Config): A config of a depth model, on images of one size.

    Returns:
        dict[str, float]: The metrics of its ``val_evaluator``, of predicting for each pixel the
        median of its depth over the training images in which it was measured.

    Raises:
        FileNotFoundError: If a file is missing.
        ValueError: If the depth maps have several sizes, or no image has depth at some pixel.
    """
    with in_scope(cfg):
        training, validation = (
            _depth_maps(loader.dataset) for loader in (cfg.train_dataloader, cfg.val_dataloader)
        )
        metric = METRICS.build(cfg.val_evaluator)
    depth = np.stack([sample['gt_depth_map'] for sample in training])
    depth[depth <= 0] = np.nan
    median = torch.from_numpy(np.nanmedian(depth, axis=0, overwrite_input=True))[None]
    for sample in validation:
        truth = torch.from_numpy(sample['gt_depth_map'])[None]
        maps = {'pred_depth_map': {'data': median}, 'gt_depth_map': {'data': truth}}
        metric.process({}, [{**maps, 'img_path': sample['img_path']}])
    return metric.evaluate(len(validation))


def _depth_maps(dataset):
    """The dataset without images: what is left of its pipeline reads depth."""
    steps = [step for step in dataset.pipeline if 'DepthAnnotation' in type_name(step.get('type'))]
    return DATASETS.build({**dataset, 'pipeline': steps})
