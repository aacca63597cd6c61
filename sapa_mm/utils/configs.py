"""Walks through configs: their parts, datasets, and steps that load labels."""

import copy
from collections.abc import Iterable, Iterator
from typing import Any


def type_name(kind: Any) -> str:
    """Get the name of a ``type`` in a config, without its scope or module.

    Args:
        kind (Any): A name such as 'mmseg.IoUMetric', in newer configs the class; None for none.

    Returns:
        str: The name, such as 'IoUMetric'.
    """
    name = getattr(kind, '__name__', None) or str(kind)
    return name.rpartition('.')[2].removesuffix("'>")  # 0.1 published classes as <class 'a.B'>


def loads_labels(pipeline: Any) -> bool:
    """Tell whether a pipeline of mmseg or mmdet loads labels, boxes or masks.

    Args:
        pipeline (list[dict]): The configs of its steps, which may hold others.

    Returns:
        bool: Whether one of them does.
    """
    return any(_loads_labels(step) for _, step in nested_configs(pipeline, 'pipeline'))


def without_labels(steps: Any) -> Any:
    """Leave out the steps of a pipeline that load labels, also those inside of other steps.

    Args:
        steps (list or Any): The configs of the steps.

    Returns:
        list or Any: The others.
    """
    if isinstance(steps, dict):
        return type(steps)({key: without_labels(value) for key, value in steps.items()})
    if not isinstance(steps, (list, tuple)):
        return steps
    kept = [step for step in steps if not (isinstance(step, dict) and _loads_labels(step))]
    # A branch of TestTimeAug that has no step left makes no image.
    return type(steps)(without_labels(step) for step in kept if not _only_loads_labels(step))


def without_pipelines(dataset: dict) -> dict:
    """Copy the config of a dataset, or of a wrapper of datasets, without the pipelines.

    Args:
        dataset (dict): The config.

    Returns:
        dict: The copy, of whose dataset ``get_data_info`` describes each image.
    """
    dataset = copy.deepcopy(dataset)
    for _, single in single_datasets(dataset, 'dataset'):
        single['pipeline'] = []
    return dataset


def _only_loads_labels(steps: Any) -> bool:
    return isinstance(steps, (list, tuple)) and bool(steps) and not without_labels(steps)


def _loads_labels(step: dict) -> bool:
    name = type_name(step.get('type'))
    return 'Annotation' in name and not name.startswith('LoadEmpty')


def upsampled_part(model: Any) -> tuple[str, dict]:
    """Find the part of a model that has the ``upsample_cfg``.

    Args:
        model (dict): The config of the model.

    Returns:
        tuple[str, dict]: The dotted key, such as 'model.neck', and the config of the part.
    """
    parts = nested_configs(model, 'model')
    return next((key, part) for key, part in parts if part.get('upsample_cfg'))


def nested_configs(config: Any, name: str) -> Iterator[tuple[str, dict]]:
    """Walk through a config and the configs nested in it, outer ones first.

    Args:
        config (Any): A dict, or a list or tuple that may hold dicts; anything else yields nothing.
        name (str): Its key.

    Yields:
        tuple[str, dict]: The dotted key and the config of each.
    """
    children: Iterable[tuple[Any, Any]] = ()
    if isinstance(config, dict):
        yield name, config
        children = config.items()
    elif isinstance(config, (list, tuple)):
        children = enumerate(config)
    for key, child in children:
        yield from nested_configs(child, f'{name}.{key}')


def single_datasets(dataset: Any, name: str) -> Iterator[tuple[str, dict]]:
    """Find the datasets inside wrappers such as ``RepeatDataset`` and ``ConcatDataset``.

    Args:
        dataset (dict or Any): The config of a dataset or a wrapper. Anything else yields nothing.
        name (str): The key of this config.

    Yields:
        tuple[str, dict]: The key and the config of each dataset.
    """
    if not isinstance(dataset, dict):
        return
    if 'dataset' in dataset:
        yield from single_datasets(dataset['dataset'], f'{name}.dataset')
    elif 'datasets' in dataset:
        for index, child in enumerate(dataset['datasets']):
            yield from single_datasets(child, f'{name}.datasets.{index}')
    else:
        yield name, dataset


def datasets_of(cfg: Any, split: str) -> Iterator[tuple[str, dict]]:
    """Find the datasets of a split, those inside wrappers too.

    Args:
        cfg (Config): The config. A split without a dataloader yields nothing.
        split (str): 'train', 'val' or 'test'.

    Yields:
        tuple[str, dict]: The key and the config of each dataset; see ``single_datasets``.
    """
    key = f'{split}_dataloader'
    return single_datasets((cfg.get(key) or {}).get('dataset'), f'{key}.dataset')
