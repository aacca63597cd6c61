"""Small models on generated data, which also stand in for the paper's."""

import os
from dataclasses import dataclass

from mmengine.config import Config

from ..engine.config import read_config
from ..engine.data_root import move_data
from ..utils.configs import upsampled_part
from .paper_tables import CONFIG_NAMES
from .training_run import TrainingRun


@dataclass(frozen=True)
class SmallModel:
    """A small model that is trained on generated data and validated at the end.

    Attributes:
        configs (str): Its configs, relative to ``configs``; ``{}`` stands for the upsampler.
        interpolation (str): Title of the model's own interpolation.
        kind (str): The kind of generated data. Defaults to 'scenes'.
    """

    configs: str
    interpolation: str
    kind: str = 'scenes'

    def config(self, upsampler: str) -> str:
        """The config with an upsampler, relative to ``configs``.

        Args:
            upsampler (str): Its title, such as 'SAPA-D'.

        Returns:
            str: The path; not every upsampler need have one.
        """
        return self.configs.format(CONFIG_NAMES[upsampler])

    def run(
        self,
        title: str,
        upsampler: str,
        configs: str,
        data_root: str,
        work_dir: str,
        cfg_options: dict | None = None,
        iterations: int | None = None,
    ) -> TrainingRun:
        """Set up a training run.

        Args:
            title (str): The run's name in messages.
            upsampler (str): Title of the upsampler.
            configs (str): Folder of the configs.
            data_root (str): Folder of the generated data.
            work_dir (str): Folder for the files of the run.
            cfg_options (dict, optional): Settings to override. Defaults to None.
            iterations (int, optional): Training iterations, 2 or more, to which the schedule is
                scaled. Defaults to None, for those of the config.

        Returns:
            TrainingRun: The run.

        Raises:
            FileNotFoundError: If there is no such config.
            ValueError: If the config cannot be read.
        """
        config = os.path.join(configs, self.config(upsampler))
        cfg = read_config(config)
        options = move_data(cfg, data_root)
        if iterations is not None:
            options.update(schedule_options(cfg, iterations))
        return TrainingRun(title, config, work_dir, {**options, **(cfg_options or {})})


#: The small model of each folder of configs.
SMALL_MODELS = {
    'segformer': SmallModel(
        'segformer/segformer_mit-tiny_{}_1xb8-300_scenes-128x128.py', 'Bilinear'
    ),
    'upernet': SmallModel('upernet/upernet_r18-small_{}_1xb8-300_scenes-128x128.py', 'Bilinear'),
    'faster_rcnn': SmallModel(
        'faster_rcnn/faster-rcnn_r18-small_fpn-{}_1xb8-300_scenes-160x160.py', 'Nearest'
    ),
    'mask_rcnn': SmallModel(
        'mask_rcnn/mask-rcnn_r18-small_fpn-{}_1xb8-300_scenes-160x160.py', 'Nearest'
    ),
    'panoptic_fpn': SmallModel(
        'panoptic_fpn/panoptic-fpn_r18-small_{}_1xb8-300_scenes-160x160.py', 'Nearest'
    ),
    'depthformer': SmallModel(
        'depthformer/depthformer_swin-mini_{}_1xb8-1500_scenes-128x128.py', 'Bilinear', 'rooms'
    ),
    'a2u_matting': SmallModel(
        'a2u_matting/a2u-matting_r34-half_{}_1xb8-600_scenes-128x128.py', 'Bilinear', 'mattes'
    ),
}
#: The paper's larger backbone is replaced by a larger one.
_SMALL_DEPTHS = {101: 34}


def stand_in(config: str) -> SmallModel:
    """The small model that stands in for a config of the paper."""
    return SMALL_MODELS[os.path.dirname(config)]


def stand_in_recipe(
    configs: str, config: str, data_root: str, iterations: int
) -> tuple[str, dict[str, object]]:
    """Give the small model that stands in for a config of the paper the same upsampler.

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
    model = stand_in(config)
    path = os.path.join(configs, model.config(model.interpolation))
    paper = read_config(os.path.join(configs, config))
    small = read_config(path)
    options = {**move_data(small, data_root), **schedule_options(small, iterations)}
    key, part = upsampled_part(paper.model)
    options |= {f'{key}.upsample_cfg.{name}': value for name, value in part.upsample_cfg.items()}
    depth = _SMALL_DEPTHS.get(paper.model.get('backbone', {}).get('depth'))
    if depth:
        options['model.backbone.depth'] = depth
    return path, options


def schedule_options(cfg: Config, iterations: int) -> dict[str, object]:
    """Scale a config's schedule to a number of iterations, 2 or more."""
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
