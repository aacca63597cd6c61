"""Reads the text of a config as data."""

import ast
import math
from collections.abc import Collection
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
