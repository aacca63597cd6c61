"""Moving the data of a config to another folder."""

import os
from collections.abc import Collection

from mmengine.config import Config
from mmengine.utils import is_abs

from ..utils.configs import datasets_of, nested_configs


def move_data(cfg: Config, data_root: str, kept: Collection[str] = ()) -> dict[str, str]:
    """Make the settings that move the data of a config to another folder.

    They set ``data_root`` of the dataset of each dataloader, inside wrappers such as
    ``RepeatDataset`` too, and what else is a path in the old ``data_root``: ``ann_file`` and
    ``seg_prefix`` of the evaluators, absolute paths of the datasets. A dataset without
    ``data_root`` has the current folder.

    Args:
        cfg (Config): The config.
        data_root (str): The folder.
        kept (Collection[str]): Dotted keys that are set otherwise. A split whose ``data_root`` is
            among them stays where it is. Defaults to ().

    Returns:
        dict[str, str]: The settings, with dotted keys.

    Raises:
        ValueError: If the config has no dataset, or one of several parts such as ``ConcatDataset``;
            if the datasets are not in one folder, or have absolute paths outside it.
    """
    settings: dict[str, str] = {}
    roots: dict[str, str] = {}
    for split in ('train', 'val', 'test'):
        for key, dataset in datasets_of(cfg, split):
            if f'{key}.data_root' in kept:
                continue
            if '.datasets.' in key:
                _refuse_parts(cfg, split)
            roots[f'{key}.data_root'] = root = dataset.get('data_root') or ''
            settings[f'{key}.data_root'] = data_root
            settings |= _absolute_paths(dataset, key, root, data_root)
            for name, metric in nested_configs(cfg.get(f'{split}_evaluator'), f'{split}_evaluator'):
                for argument in ('ann_file', 'seg_prefix'):
                    moved = _moved(metric.get(argument), root, data_root)
                    if moved is not None:
                        settings[f'{name}.{argument}'] = moved
    if not roots:
        raise ValueError('data_root: the config has no dataset to move')
    if len({os.path.abspath(root) for root in roots.values()}) > 1:
        folders = ', '.join(f'{key}={root}' for key, root in roots.items())
        raise ValueError(
            f'data_root takes the place of one folder, the config has several: {folders}; set each '
            'with `cfg_options`'
        )
    return settings


def _refuse_parts(cfg: Config, split: str) -> None:
    loader = f'{split}_dataloader'
    configs = nested_configs(cfg[loader], loader)
    key, parts = next(item for item in configs if 'datasets' in item[1])
    raise ValueError(
        f'`data_root` moves single datasets, {key} is a {parts.get("type")}; set the folder of '
        f'each part with `cfg_options` {key}.datasets.0.data_root=FOLDER'
    )


def _absolute_paths(dataset: dict, name: str, old: str, new: str) -> dict[str, str]:
    """Move the paths of a dataset that do not follow its ``data_root``."""
    prefixes = dataset.get('data_prefix') or {}
    paths = {f'data_prefix.{key}': path for key, path in prefixes.items()}
    settings = {}
    for key, path in {**paths, 'ann_file': dataset.get('ann_file')}.items():
        if isinstance(path, str) and is_abs(path):
            moved = _moved(path, old, new)
            if moved is None:
                raise ValueError(
                    f'`data_root` has no effect on {name}.{key}={path}, which is not in its '
                    f'data_root {old!r}; set it with `cfg_options`'
                )
            settings[f'{name}.{key}'] = moved
    return settings


def _moved(path: object, old: str, new: str) -> str | None:
    """Where a path in the old folder is in the new one, or None if it is not in the old one."""
    if not isinstance(path, str) or not path:
        return None
    inside = os.path.relpath(path, old or '.')
    return None if inside.startswith(os.pardir) else os.path.join(new, inside)
