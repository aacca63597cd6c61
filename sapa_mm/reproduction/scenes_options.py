"""Settings that point a config at a folder of generated scenes."""

import os

from mmengine.config import Config

from ..utils.nested_configs import nested_configs


def scenes_options(cfg: Config, data_root: str) -> dict[str, str]:
    """Points training and validation at a folder of scenes.

    Args:
        cfg (Config): A config on the scenes, in another folder.
        data_root (str): The folder.

    Returns:
        dict[str, str]: Settings to override, with dotted keys.
    """
    options = {f'{split}_dataloader.dataset.data_root': data_root for split in ('train', 'val')}
    for key, metric in nested_configs(cfg.val_evaluator, 'val_evaluator'):
        for argument in ('ann_file', 'seg_prefix'):
            if argument in metric:
                inside = os.path.relpath(metric[argument], cfg.data_root)
                options[f'{key}.{argument}'] = os.path.join(data_root, inside)
    return options
