"""Training on generated data: writing it where it is missing, small models on it."""

import os

from mmengine.config import Config

from ..datasets.scenes.folder import record_name
from ..datasets.scenes.writers import WRITERS
from ..engine.config import read_config
from ..engine.data_root import move_data
from ..utils.files import check_writable
from .file_lock import file_lock
from .training_run import TrainingRun

#: The small model, with interpolation, that stands in for the configs of each folder.
_STAND_INS = {
    'segformer': 'segformer/segformer_mit-tiny_bilinear_1xb8-300_scenes-128x128.py',
    'upernet': 'upernet/upernet_r18-small_bilinear_1xb8-300_scenes-128x128.py',
    'faster_rcnn': 'faster_rcnn/faster-rcnn_r18-small_fpn-nearest_1xb8-300_scenes-160x160.py',
    'mask_rcnn': 'mask_rcnn/mask-rcnn_r18-small_fpn-nearest_1xb8-300_scenes-160x160.py',
    'panoptic_fpn': 'panoptic_fpn/panoptic-fpn_r18-small_nearest_1xb8-300_scenes-160x160.py',
    'depthformer': 'depthformer/depthformer_swin-mini_bilinear_1xb8-1000_scenes-128x128.py',
}
#: What the small models of a folder are trained on, if not scenes.
_KINDS = {'depthformer': 'rooms'}
#: The paper's larger backbone is replaced by a larger one.
_SMALL_DEPTHS = {101: 34}


def data_kind(config: str) -> str:
    """The kind of generated data for the small model that stands in for a config of the paper."""
    return _KINDS.get(os.path.dirname(config), 'scenes')


def data_folder(data_root: str | None, kind: str) -> str:
    """The folder of a kind of generated data: the given one, or that of the kind in ``data``."""
    return os.path.abspath(data_root or os.path.join('data', kind))


def make_missing_scenes(data_root: str, kind: str = 'scenes') -> None:
    """Write generated data to a folder that has none.

    Several processes may call this at once: one writes, the others wait.

    Args:
        data_root (str): The folder.
        kind (str): The kind of data. Defaults to 'scenes'.

    Raises:
        OSError: If it cannot be written to.
    """
    # The record is written last, so that a folder with one is complete.
    record = os.path.join(data_root, record_name(kind))
    if not os.path.isfile(record):
        check_writable(data_root, 'data_root', is_folder=True)
        with file_lock(os.path.abspath(data_root) + '.lock'):
            if not os.path.isfile(record):
                WRITERS[kind](data_root)


def find_stand_in(
    configs: str, config: str, data_root: str, iterations: int
) -> tuple[str, dict[str, object]]:
    """Find the small model that stands in for a config of the paper, with the same upsampler.

    Args:
        configs (str): Folder of the configs.
        config (str): Path of the paper's config in it.
        data_root (str): Folder of the generated data.
        iterations (int): Training iterations, to which the schedule is scaled.

    Returns:
        tuple[str, dict]: The small model's config file, and settings to override.

    Raises:
        FileNotFoundError: If a config is missing.
        ValueError: If a config cannot be read.
    """
    path = os.path.join(configs, _STAND_INS[os.path.dirname(config)])
    paper = read_config(os.path.join(configs, config))
    small = read_config(path)
    options = {**move_data(small, data_root), **schedule_options(small, iterations)}
    for part in ('decode_head', 'neck'):
        for name, value in paper.model.get(part, {}).get('upsample_cfg', {}).items():
            options[f'model.{part}.upsample_cfg.{name}'] = value
    depth = _SMALL_DEPTHS.get(paper.model.backbone.get('depth'))
    if depth:
        options['model.backbone.depth'] = depth
    return path, options


def schedule_options(cfg: Config, iterations: int) -> dict[str, object]:
    """Settings that scale a config's schedule to a number of iterations, 2 or more."""
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


def scenes_run(
    title: str, config: str, data_root: str, work_dir: str, cfg_options: dict | None = None
) -> TrainingRun:
    """Set up the training run of a config on a folder of generated data.

    Args:
        title (str): The run's name in messages.
        config (str): A config that trains on such data and validates at the end.
        data_root (str): The folder of the data.
        work_dir (str): Folder for the files of the run.
        cfg_options (dict, optional): Settings to override. Defaults to None.

    Returns:
        TrainingRun: The run.

    Raises:
        FileNotFoundError: If there is no such config.
        ValueError: If the config cannot be read.
    """
    options = move_data(read_config(config), data_root)
    return TrainingRun(title, config, work_dir, {**options, **(cfg_options or {})})
