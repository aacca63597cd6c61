"""Reads a config's text as data, and walks through configs."""

import ast
import copy
import math
from collections.abc import Collection, Iterable, Iterator
from typing import Any

from .text import one_line


def parse_config(text: str, keys: Collection[str] | None = None) -> dict[str, Any]:
    """Read the text of a config, such as checkpoints keep, without running it.

    Args:
        text (str): Assignments of literals and of ``dict(...)`` to names, as mmengine's
            ``Config.pretty_text`` writes them.
        keys (Collection[str], optional): The names to read; others may be assigned anything.
            Defaults to None, all.

    Returns:
        dict[str, Any]: The settings, with dotted names, such as those of classes, as texts.

    Raises:
        ValueError: If the text is anything else.
    """
    try:
        settings = {}
        for statement in ast.parse(text).body:
            match statement:
                case ast.Assign(targets=[ast.Name(id=key)], value=value):
                    if keys is None or key in keys:
                        settings[key] = _literal(value)
                case _:
                    raise ValueError(f'line {statement.lineno} is not an assignment to a name')
        return settings
    except (SyntaxError, RecursionError, MemoryError, TypeError) as error:
        raise ValueError(f'it is not the text of a config: {one_line(error)}') from error


def _literal(node: ast.expr) -> Any:
    match node:
        case ast.Constant(value=None | bool() | int() | float() | str() as value):
            return value
        case ast.Name(id='inf' | 'nan' as name):  # as Python writes them
            return getattr(math, name)
        case ast.UnaryOp(op=ast.USub(), operand=operand):
            value = _literal(operand)
            if isinstance(operand, (ast.Constant, ast.Name)) and isinstance(value, (int, float)):
                return -value
        case ast.List(elts=items):
            return [_literal(item) for item in items]
        case ast.Tuple(elts=items):
            return tuple(_literal(item) for item in items)
        case ast.Dict(keys=keys, values=values) if all(keys):  # None stands for `**`
            pairs = zip(keys, values, strict=True)
            return {_literal(key): _literal(value) for key, value in pairs if key}
        case ast.Attribute(
            value=ast.Name() | ast.Attribute()
        ):  # OneDL's mmengine writes classes so
            dotted = ast.unparse(node)
            if all(part.isidentifier() for part in dotted.split('.')):
                return dotted
        case ast.Call(func=ast.Name(id='dict'), args=[ast.Dict() as mapping], keywords=[]):
            return _literal(mapping)
        case ast.Call(func=ast.Name(id='dict'), args=[], keywords=items):
            if all(item.arg for item in items):
                return {item.arg: _literal(item.value) for item in items}
    raise ValueError(f'line {node.lineno} is neither a literal nor dict(...)')


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
