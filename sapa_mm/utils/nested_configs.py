"""A walk through a config."""

from collections.abc import Iterable, Iterator
from typing import Any


def nested_configs(config: Any, name: str) -> Iterator[tuple[str, dict]]:
    """Walk through a config and the configs in it, outer ones first.

    Args:
        config (Any): A dict, or a list or tuple that may hold dicts; anything else has none.
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
