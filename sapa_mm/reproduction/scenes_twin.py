"""A small model on the generated scenes in the place of a config of the paper."""

import os

from mmengine.config import Config

from ..engine.config import load_config
from .scenes_options import scenes_options

#: By the folder of the config; all interpolate.
_TWINS = {
    'segformer': 'segformer/segformer_mit-tiny_bilinear_1xb8-300_scenes-128x128.py',
    'upernet': 'upernet/upernet_r18-small_bilinear_1xb8-300_scenes-128x128.py',
    'faster_rcnn': 'faster_rcnn/faster-rcnn_r18-small_fpn-nearest_1xb8-300_scenes-160x160.py',
    'mask_rcnn': 'mask_rcnn/mask-rcnn_r18-small_fpn-nearest_1xb8-300_scenes-160x160.py',
    'panoptic_fpn': 'panoptic_fpn/panoptic-fpn_r18-small_nearest_1xb8-300_scenes-160x160.py',
}
#: The larger backbone has a larger one in its place.
_SMALL_DEPTHS = {101: 34}


def find_twin(
    configs: str, config: str, data_root: str, iterations: int
) -> tuple[str, dict[str, object]]:
    """Finds the small model for a config of the paper, with the same upsampler and its options.

    Args:
        configs (str): Folder of the configs.
        config (str): The config's path in it.
        data_root (str): Folder of the scenes.
        iterations (int): How long to train; the schedule is stretched to it.

    Returns:
        tuple[str, dict]: The small model's config file, and settings to override.

    Raises:
        FileNotFoundError: If a config is missing.
        ValueError: If a config cannot be read.
    """
    path = os.path.join(configs, _TWINS[os.path.dirname(config)])
    paper = load_config(os.path.join(configs, config), None, None, 'none', 0)
    twin = load_config(path, None, None, 'none', 0)
    options = {**scenes_options(twin, data_root), **_schedule(twin, iterations)}
    for part in ('decode_head', 'neck'):
        for name, value in paper.model.get(part, {}).get('upsample_cfg', {}).items():
            options[f'model.{part}.upsample_cfg.{name}'] = value
    depth = _SMALL_DEPTHS.get(paper.model.backbone.get('depth'))
    if depth:
        options['model.backbone.depth'] = depth
    return path, options


def _schedule(cfg: Config, iterations: int) -> dict[str, object]:
    """As the config's, in so many iterations."""
    scale = iterations / cfg.train_cfg.max_iters
    options = {
        'train_cfg.max_iters': iterations,
        'train_cfg.val_interval': iterations,
        'default_hooks.checkpoint.interval': max(
            1, round(cfg.default_hooks.checkpoint.interval * scale)
        ),
    }
    for number, scheduler in enumerate(cfg.param_scheduler):
        for name in ('begin', 'end'):
            moment = max(1, round(scheduler[name] * scale)) if scheduler[name] else 0
            options[f'param_scheduler.{number}.{name}'] = moment
    return options
