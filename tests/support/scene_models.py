"""Small models of the scenes, with random weights."""

from pathlib import Path

import torch
from mmengine.registry import MODELS

from sapa_mm.engine.config import in_scope, read_config

CONFIGS = Path(__file__).parents[2] / 'configs'
SEGFORMER = 'segformer/segformer_mit-tiny_{}_1xb8-300_scenes-128x128.py'
UPERNET = 'upernet/upernet_r18-small_{}_1xb8-300_scenes-128x128.py'
PANOPTIC_FPN = 'panoptic_fpn/panoptic-fpn_r18-small_{}_1xb8-300_scenes-160x160.py'
MASK_RCNN = 'mask_rcnn/mask-rcnn_r18-small_fpn-{}_1xb8-300_scenes-160x160.py'
FASTER_RCNN = 'faster_rcnn/faster-rcnn_r18-small_fpn-{}_1xb8-300_scenes-160x160.py'


def model_files(folder, config, upsampler, seed=0):
    """A config and a checkpoint of random weights."""
    path = str(CONFIGS / config.format(upsampler))
    cfg = read_config(path)
    torch.manual_seed(seed)
    with in_scope(cfg):
        model = MODELS.build(cfg.model)
    for part in model.modules():
        # Points that differ from one another, and boxes of some score.
        if hasattr(part, 'select_points'):
            torch.nn.init.normal_(part.offset.weight, std=0.1)
        if hasattr(part, 'fc_cls'):
            torch.nn.init.normal_(part.fc_cls.weight, std=1.0)
    checkpoint = folder / f'{Path(path).stem}_{seed}.pth'
    torch.save({'state_dict': model.state_dict()}, checkpoint)
    return path, str(checkpoint)
