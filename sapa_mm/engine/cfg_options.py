"""Overriding settings of a config by dotted keys."""

import contextlib
import difflib
import inspect
from collections.abc import Mapping
from typing import Any

from mmengine import registry
from mmengine.config import Config, ConfigDict, DictAction
from mmengine.runner import FlexibleRunner, Runner

from ..utils.config_text import parse_config
from ..utils.configs import nested_configs
from ..utils.log import log_warning
from ..utils.text import first_of
from .compare_settings import class_defaults

_BRACKETS = {'[': ']', '(': ')', '{': '}'}
# Keys that are read, by the hosts' tools and ours, beside the arguments of mmengine's runners.
_OTHER_KEYS = ['runner_type', 'auto_scale_lr', 'tta_model', 'tta_pipeline', 'model_wrapper_cfg']
_OTHER_KEYS += ['find_unused_parameters', 'sync_bn', 'allow_partial', 'processes']
# Those that mmseg and mmdet have, too.
_REGISTRIES = [getattr(registry, name) for name in (
    'MODELS', 'TASK_UTILS', 'HOOKS', 'DATASETS', 'DATA_SAMPLERS', 'TRANSFORMS', 'METRICS', 'LOOPS',
    'OPTIMIZERS', 'OPTIM_WRAPPERS', 'PARAM_SCHEDULERS', 'VISUALIZERS', 'VISBACKENDS', 'EVALUATOR',
)]  # fmt: skip
_PLACES = ('data_root', 'work_dir', 'load_from')


def parse_value(text: str) -> Any:
    """Read a value as mmengine's ``DictAction`` does, but keep its spaces.

    Args:
        text (str): ``1``, ``1e-3``, ``True``, ``None``, ``a text``, ``1,2`` or ``[1, 2]`` for a
            list, ``(1, 2)`` for a tuple, also nested, ``dict(a=1)`` or ``{'a': 1}``. Quotes keep
            the commas of a text: ``'a, b'``.

    Returns:
        Any: The value.

    Raises:
        ValueError: If brackets or quotes do not match.
    """
    whole = text.strip()
    is_dict = whole.startswith(('{', 'dict('))
    if is_dict or (whole[:1] in _BRACKETS and ('{' in whole or 'dict(' in whole)):
        try:
            return parse_config(f'value = {whole}')['value']
        except ValueError:
            if is_dict:
                return text
    if len(whole) > 1 and whole[0] in '\'"' and whole.find(whole[0], 1) == len(whole) - 1:
        text = whole[1:-1]
        if text[:1] not in ('[', '('):
            return _parse_single(text)
        whole = text.strip()
    is_list = _BRACKETS.get(whole[:1]) == whole[-1:] and len(_split(whole)) == 1
    if is_list:
        return (tuple if whole[0] == '(' else list)(_items(whole[1:-1]))
    if ',' in whole and len(_split(whole)) > 1:
        return _items(whole)
    return _parse_single(text)


def _items(text: str) -> list:
    parts = [part.strip() for part in _split(text)]
    return [parse_value(part) for part in (parts if parts[-1] else parts[:-1])]


def _parse_single(text: str) -> Any:
    value = DictAction._parse_int_float_bool(text.strip())
    return text if isinstance(value, str) else value


def _split(text: str) -> list[str]:
    """Split at commas outside of brackets and quoted items."""
    parts, open_brackets, quote = [''], [], ''
    for index, char in enumerate(text):
        if quote:
            if char == quote and text[index + 1 :].lstrip()[:1] in ('', ',', ']', ')'):
                quote = ''
        elif char in '\'"' and text[:index].rstrip()[-1:] in ('', ',', '[', '('):
            quote = char
        elif char in _BRACKETS:
            open_brackets.append(_BRACKETS[char])
        elif char in _BRACKETS.values():
            if not open_brackets or open_brackets.pop() != char:
                raise ValueError(f'brackets do not match in {text!r}')
        elif char == ',' and not open_brackets:
            parts.append('')
            continue
        parts[-1] += char
    if quote or open_brackets:
        raise ValueError(f'{"quotes" if quote else "brackets"} do not match in {text!r}')
    return parts


def apply_options(cfg: Config, options: Mapping[str, Any]) -> None:
    """Override settings of a config, and warn of those that have no effect.

    A key that neither the config nor a runner has is an error. A new key below one that is there is
    fine, but a warning names a key that is almost the same, unless the class of these settings has
    an argument of the new name.

    Args:
        cfg (Config): The config.
        options (Mapping[str, Any]): Values by dotted key.

    Raises:
        ValueError: If a key is unknown, or leads into something that is no dict or list.
        KeyError, TypeError, IndexError: If mmengine cannot merge a value.
    """
    merged = {}
    read = [*_OTHER_KEYS]
    for runner in (Runner, FlexibleRunner):
        read += inspect.signature(runner).parameters
    for key, value in options.items():
        first, *_ = parts = key.split('.')
        if not all(parts):
            raise ValueError(f'{key!r} is no dotted key')
        if first == 'custom_imports':
            raise ValueError('custom_imports come too late here, they are imported as it is read')
        others = [
            f'{place}.{first}'
            for top in cfg
            for place, settings in nested_configs(cfg[top], top)
            if first in settings
        ]
        if first not in cfg and first not in read:
            near = f'; did you mean {first_of(others)}?' if others else _near(first, [*cfg, *read])
            raise ValueError(f'there is no {first}{near}')
        if first not in read:
            advice = f'set {first_of(others)}' if others else 'set the keys that it is for'
            _warn(
                f'{first} may have no effect: it is a variable of the file, which has used it '
                f'already; {advice}'
            )
        if parts[-1] in _PLACES and isinstance(value, (list, tuple)):
            raise ValueError(f'{key} is one path, got {value!r}; quote one with commas: "\'a, b\'"')
        holder = _find_holder(cfg, key, parts)
        if isinstance(holder, list) and not isinstance(value, dict):
            holder[int(parts[-1])] = value  # which mmengine takes dicts for
        elif _replaces_list(holder, parts[-1], value):
            holder[parts[-1]] = ConfigDict({k: v for k, v in value.items() if k != '_delete_'})
        else:
            merged[key] = value
    cfg.merge_from_dict(merged)


def _replaces_list(holder: Any, name: str, value: Any) -> bool:
    """Tell whether a dict takes the place of a list; mmengine takes its keys for indices."""
    is_list = isinstance(holder, dict) and isinstance(holder.get(name), list)
    return is_list and isinstance(value, dict) and not all(str(key).isdigit() for key in value)


def _find_holder(cfg: Config, key: str, parts: list[str]) -> Any:
    """Find the dict or list that has the setting of a key; None if there is none yet."""
    holder: Any = None
    node: Any = cfg._cfg_dict
    for depth, part in enumerate(parts):
        holder = node
        place = '.'.join(parts[:depth])
        if isinstance(node, dict):
            if part not in node:
                if depth and (near := _near(part, node)) and not _takes(node, part):
                    _warn(f'{place} has no {part}, which is added{near}')
                return None
            node = node[part]
        elif isinstance(node, list):
            if not part.isdigit() or int(part) >= len(node):
                allowed = f'0 to {len(node) - 1}' if node else 'none'
                raise ValueError(f'{key}: {place} is a list, {part} is not one of {allowed}')
            node = node[int(part)]
        else:
            raise ValueError(f'{key}: {place} is {node!r:.60}, not a dict or a list')
    return holder


def _takes(settings: Mapping, name: str) -> bool:
    """Tell whether the class of settings, in any registry, has an argument of a name."""
    kind = settings.get('type')
    if not isinstance(kind, str):
        return inspect.isclass(kind) and name in class_defaults(kind)
    for root in _REGISTRIES:
        # Modules of the scope are imported, which may fail.
        with contextlib.suppress(Exception), root.switch_scope_and_registry(None) as current:
            if name in class_defaults(current.get(kind)):
                return True
    return False


def _near(name: str, names: Any) -> str:
    near = difflib.get_close_matches(name, map(str, names), 1, 0.8)
    return f'; did you mean {near[0]}?' if near else ''


def _warn(message: str) -> None:
    log_warning(f'cfg_options: {message}')
