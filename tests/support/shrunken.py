"""Settings with which a config of the paper trains and tests within seconds on a few scenes."""

import json
import uuid

from sapa_mm.datasets import CLASSES, STUFF_CLASSES, THING_CLASSES

from .configs import A2U_MATTING, CONFIGS, load

#: Folders of the scenes, by dataloader.
SPLITS = {
    'train_dataloader': 'training',
    'val_dataloader': 'validation',
    'test_dataloader': 'validation',
}
LOADERS = tuple(SPLITS)
SIDE, SCALE = 64, (96, 64)


def shrunken(cfg, scenes):
    """Settings for one step and one validation on a few scenes.

    Args:
        cfg (Config): The config.
        scenes (Path): Folder of scenes, rooms or mattes of 70 × 57 pixels.

    Returns:
        dict: What to override.
    """
    options = {
        f'train_cfg.max_{"epochs" if "max_epochs" in cfg.train_cfg else "iters"}': 1,
        'train_cfg.val_interval': 1,
        'default_hooks.checkpoint.interval': -1,
        'default_hooks.checkpoint.save_last': False,
        'default_hooks.logger.interval': 1,
        'train_dataloader.batch_size': 2,
        'visualizer.name': str(uuid.uuid4()),
    }
    for loader in LOADERS:
        options[f'{loader}.dataset.data_root'] = str(scenes)
        options[f'{loader}.num_workers'] = 0
        options[f'{loader}.persistent_workers'] = False
        for step, transform in enumerate(cfg[loader].dataset.pipeline):
            key = f'{loader}.dataset.pipeline.{step}'
            if 'scale' in transform:
                options[f'{key}.scale'] = SCALE
            if 'crop_size' in transform:
                options[f'{key}.crop_size'] = (SIDE, SIDE)
            if transform.type == 'FixedCrop':
                options |= {f'{key}.img_shape': (70, 57), f'{key}.rows': (2, 68)}
                options[f'{key}.columns'] = (3, 55)
    own = {'mmseg': _segmentor, 'mmdet': _detector, 'mmengine': _matting}
    return options | own[cfg.default_scope](cfg, scenes)


def _segmentor(cfg, scenes):
    options = {'model.backbone.init_cfg': None, 'model.data_preprocessor.size': (SIDE, SIDE)}
    if 'crop_type' in cfg.val_evaluator:
        options['val_evaluator.crop_type'] = None
    if 'camvid' in cfg.data_root:
        for loader in LOADERS:
            split, dataset = SPLITS[loader], f'{loader}.dataset'
            options[f'{dataset}.data_prefix.img_path'] = f'images/{split}'
            options[f'{dataset}.data_prefix.seg_map_path'] = f'annotations/{split}'
            options[f'{dataset}.reduce_zero_label'] = True
    return options


def _matting(cfg, mattes):
    own = load((CONFIGS / A2U_MATTING.format('bilinear')).stem)
    folders = {
        f'{loader}.dataset.data_prefix': own[loader].dataset.data_prefix for loader in LOADERS
    }
    return {'model.init_cfg': None, 'default_hooks.checkpoint.save_best': None, **folders}


def _detector(cfg, scenes):
    """With the classes of the scenes, and few proposals."""
    panoptic = 'semantic_head' in cfg.model
    kind = 'panoptic' if panoptic else 'instances'
    metainfo = dict(classes=CLASSES if panoptic else THING_CLASSES)
    options = {
        'model.backbone.init_cfg': None,
        'model.train_cfg.rpn_proposal.max_per_img': 50,
        'model.train_cfg.rcnn.sampler.num': 16,
        'model.test_cfg.rpn.max_per_img': 50,
        'model.test_cfg.rcnn.max_per_img': 5,
    }
    for head in ('bbox_head', 'mask_head'):
        if head in cfg.model.roi_head:
            options[f'model.roi_head.{head}.num_classes'] = len(THING_CLASSES)
    if panoptic:
        metainfo.update(thing_classes=THING_CLASSES, stuff_classes=STUFF_CLASSES)
        for head in ('semantic_head', 'panoptic_fusion_head'):
            options[f'model.{head}.num_things_classes'] = len(THING_CLASSES)
            options[f'model.{head}.num_stuff_classes'] = len(STUFF_CLASSES)
    for loader in LOADERS:
        split, dataset = SPLITS[loader], f'{loader}.dataset'
        options[f'{dataset}.metainfo'] = metainfo
        options[f'{dataset}.ann_file'] = f'annotations/{kind}_{split}.json'
        options[f'{dataset}.data_prefix.img'] = f'images/{split}/'
        if panoptic:
            options[f'{dataset}.data_prefix.seg'] = f'panoptic/{split}/'
    several = isinstance(cfg.val_evaluator, list)
    for number, metric in enumerate(cfg.val_evaluator if several else [cfg.val_evaluator]):
        key = f'val_evaluator.{number}' if several else 'val_evaluator'
        truth = 'panoptic' if metric.type == 'PanopticMetric' else 'instances'
        options[f'{key}.ann_file'] = str(scenes / 'annotations' / f'{truth}_validation.json')
        if truth == 'panoptic':
            options[f'{key}.seg_prefix'] = str(scenes / 'panoptic' / 'validation')
    return options


def last_metrics(work_dir):
    """What the last validation of the last run in a work directory gave."""
    log = max(work_dir.glob('*/vis_data/scalars.json'), key=lambda path: path.parent.parent.name)
    lines = [json.loads(line) for line in log.read_text().splitlines()]
    return [line for line in lines if 'loss' not in line][-1]
