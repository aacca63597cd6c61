"""Walks through configs."""

from collections.abc import Iterable, Iterator
from typing import Any


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
