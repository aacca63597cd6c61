"""The main jobs on the generated scenes: two upsamplers in one model, one table, one picture."""

import os

from mmengine.config import Config
from mmengine.registry import DATASETS

from ..datasets.scenes.writers import RECORD, write_scenes
from .comparison import Metric, compare
from .comparison_picture import draw_comparison
from .panoptic_picture import draw_panoptic
from .scenes_options import scenes_options

_SEGFORMER = 'segformer/segformer_mit-tiny_{}_1xb8-300_scenes-128x128.py'
_PANOPTIC_FPN = 'panoptic_fpn/panoptic-fpn_r18-small_{}_1xb8-300_scenes-160x160.py'


def run_demo(
    task: str, configs: str, data_root: str, out: str, cfg_options: dict | None = None
) -> str:
    """Trains a model with the stock interpolation and with SAPA-D, same seed and schedule.

    Args:
        task (str): 'segmentation' for SegFormer, 'detection' for Panoptic FPN, which gives boxes,
            masks and panoptic maps.
        configs (str): Folder of the configs.
        data_root (str): Folder of the generated scenes; made where it is missing.
        out (str): Folder for ``table.md``, ``comparison.png`` and the work directories.
        cfg_options (dict, optional): Settings to override in both configs. Defaults to None.

    Returns:
        str: The table.
    """
    if not os.path.isfile(os.path.join(data_root, RECORD)):
        write_scenes(data_root)
    picture = os.path.join(out, 'comparison.png')
    compare_upsamplers = {'segmentation': _compare_segmentors, 'detection': _compare_detectors}
    table = compare_upsamplers[task](configs, data_root, out, picture, cfg_options or {})
    print(f'\n{table}\n\nPicture: {picture}')
    return table


def _compare_segmentors(configs, data_root, out, picture, cfg_options):
    files = {
        name: os.path.join(configs, _SEGFORMER.format(method))
        for name, method in (('Bilinear', 'bilinear'), ('SAPA-D', 'sapa-d'))
    }
    options = {**scenes_options(Config.fromfile(files['SAPA-D']), data_root), **cfg_options}
    metrics = [Metric('mIoU', 'mIoU'), Metric('bIoU', 'bIoU')]
    models, table = compare(files, metrics, out, options)
    dataset = _validation_set(files['SAPA-D'], options)
    draw_comparison(models, kernels_of='SAPA-D', dataset=dataset, index=0, path=picture)
    return table


def _compare_detectors(configs, data_root, out, picture, cfg_options):
    files = {
        name: os.path.join(configs, _PANOPTIC_FPN.format(method))
        for name, method in (('Nearest', 'nearest'), ('SAPA-D', 'sapa-d'))
    }
    options = {**scenes_options(Config.fromfile(files['SAPA-D']), data_root), **cfg_options}
    metrics = [
        Metric('box AP', 'coco/bbox_mAP', 100),
        Metric('mask AP', 'coco/segm_mAP', 100),
        Metric('PQ', 'coco_panoptic/PQ'),
    ]
    models, table = compare(files, metrics, out, options)
    draw_panoptic(models, _validation_set(files['SAPA-D'], options), range(3), picture)
    return table


def _validation_set(config, options):
    cfg = Config.fromfile(config)
    cfg.merge_from_dict(options)
    return DATASETS.build(cfg.val_dataloader.dataset)
