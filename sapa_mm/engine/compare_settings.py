"""Comparing a model's settings with those that its weights were trained with.

Much that a prediction depends on has no weights: kernel sizes, kinds of normalisation, heads of
attention, anchors. A checkpoint that fits by name and shape may still be of another model.
"""

import inspect
import re
import reprlib
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from mmengine.registry import MODELS, TASK_UTILS, DefaultScope

from ..upsamplers.build import UPSAMPLERS
from ..utils.configs import type_name
from ..utils.text import first_of

# What the weights' meaning does not depend on: initialisation, losses, regularisation, settings of
# training or of testing alone, padding.
_UNRELATED = re.compile(
    r'_scope_|init_cfg|pretrained|offset_init|train_cfg|test_cfg|auxiliary_head|.*loss.*|.*drop.*'
    r'|sampler|assigner|ignore_index|seg_rescale_factor|with_cp|norm_eval|frozen_stages'
    r'|zero_init_residual|convert_weights|requires_grad|momentum|inplace'
    r'|size|size_divisor|max_pixels|pad_size_divisor|pad_mask|pad_seg'
    r'|(seg_|mask_)?pad_val(ue)?|batch_augments|boxtype2tensor|non_blocking'
)
_BATCH_NORM = re.compile(r'(Sync)?B(atch)?N(orm)?(2d)?')
_UNSET = object()
_REPR = reprlib.Repr()
_REPR.maxstring = 80


class Difference(NamedTuple):
    """A setting that differs.

    Attributes:
        name (str): Its dotted key.
        trained (Any): Its value in training.
        given (Any): Its value now.
        is_sure (bool): Whether it is certain to matter. It is not if one side leaves the setting to
            an unknown default, or the class in training is unknown here.
    """

    name: str
    trained: Any
    given: Any
    is_sure: bool

    def __str__(self) -> str:
        values = (self.given, self.trained)
        texts = ['not set' if value is _UNSET else _REPR.repr(value) for value in values]
        return f'{self.name} is {texts[0]}, but was {texts[1]} in training'


def compare_settings(
    trained: Any, given: Any, name: str = 'model', ignored: re.Pattern = _UNRELATED
) -> Iterator[Difference]:
    """Compare settings; by default those of two models, as far as predictions depend on them.

    What only one side sets is compared with the default of the class. Batch norms count as equal,
    synchronised or not; so do our heads and necks with the stock interpolation and the stock ones.

    Args:
        trained (Any): The config of a model or of a part, in training.
        given (Any): The config now.
        name (str): Its dotted key. Defaults to 'model'.
        ignored (re.Pattern): Names of settings to leave out. Defaults to those on which no
            prediction depends.

    Yields:
        Difference: Each setting that differs.
    """
    if isinstance(trained, Mapping) and isinstance(given, Mapping):
        # Keys are texts in a file.
        trained, given = ({str(k): v for k, v in side.items()} for side in (trained, given))
        kinds = [_kind(config) for config in (trained, given)]
        if kinds[0] != kinds[1]:
            # The classes of another project are unknown here; their weights tell whether they fit.
            known = _find_class(trained.get('type')) is not None
            yield Difference(f'{name}.type', trained.get('type'), given.get('type'), known)
            return
        sides = [{**defaults_of(config), **config} for config in (trained, given)]
        keys = dict.fromkeys([*trained, *given])
        if any('upsample_cfg' in side for side in sides):
            keys = {**keys, 'upsample_cfg': None}
            keys.pop('interpolate_mode', None)  # see _upsample_cfg
        for key in keys:
            if key == 'upsample_cfg':
                values = [_upsample_cfg(side) for side in sides]
            else:
                values = [side.get(key, _UNSET) for side in sides]
            if key != 'type' and not ignored.fullmatch(str(key)):
                yield from compare_settings(values[0], values[1], f'{name}.{key}', ignored)
    elif _is_list(trained) and _is_list(given) and len(trained) == len(given):
        for index, (theirs, ours) in enumerate(zip(trained, given, strict=True)):
            yield from compare_settings(theirs, ours, f'{name}.{index}', ignored)
    elif _plain(trained) != _plain(given):
        yield Difference(
            name, trained, given, not {None, _UNSET} & {_plain(trained), _plain(given)}
        )


def compare_classes(trained: Any, given: Any) -> str | None:
    """Compare the names of the classes.

    Args:
        trained (Any): The names in training; anything but a list or tuple of names is unknown.
        given (Any): The names now.

    Returns:
        str or None: What differs, or None.
    """
    if not (_is_list(trained) and _is_list(given)):
        return None
    if len(trained) != len(given):
        return f'the dataset has {len(given)} classes, but had {len(trained)} in training'
    differ = [
        f'{index} is {ours!r}, was {theirs!r}'
        for index, (theirs, ours) in enumerate(zip(trained, given, strict=True))
        if theirs != ours
    ]
    if not differ:
        return None
    return f'names of classes differ ({len(differ)} of {len(given)}): {first_of(differ)}'


def _is_list(value: Any) -> bool:
    return isinstance(value, (list, tuple))


def _plain(value: Any) -> Any:
    """A hashable value to compare: lists as tuples, classes and functions as files name them."""
    if isinstance(value, (type(None), bool, int, float, str)) or value is _UNSET:
        return value
    if inspect.isclass(value) or inspect.isroutine(value):
        return f'{value.__module__}.{value.__qualname__}'
    return tuple(map(_plain, value)) if _is_list(value) else str(value)


def _kind(config: Mapping) -> str:
    name = type_name(config.get('type'))
    if _BATCH_NORM.fullmatch(name):
        return 'BN'
    # UpsampleFPNCARAFE is FPN_CARAFE with an upsample_cfg, FlipDepthEstimator tests otherwise.
    return name.removeprefix('Upsample').removeprefix('Flip').replace('_', '')


def defaults_of(config: Mapping) -> dict[str, Any]:
    """Find the defaults of a config's class, if it is registered; no module is imported for it.

    Args:
        config (Mapping): The config.

    Returns:
        dict[str, Any]: The defaults by the names of arguments, those of base classes included.
    """
    cls = _find_class(config.get('type'))
    return class_defaults(cls) if cls else {}


def class_defaults(cls: type) -> dict[str, Any]:
    """Find the defaults of a class.

    Args:
        cls (type): The class.

    Returns:
        dict[str, Any]: The defaults by the names of arguments, those of base classes included.
    """
    defaults: dict[str, Any] = {}
    for base in reversed(inspect.getmro(cls)):
        if inspect.isfunction(constructor := vars(base).get('__init__')):
            for parameter in inspect.signature(constructor).parameters.values():
                if parameter.default is not parameter.empty:
                    defaults[parameter.name] = parameter.default
    return defaults


def _find_class(kind: Any) -> type | None:
    if inspect.isclass(kind):
        return kind
    module, _, name = str(kind).rpartition('.')
    if name in UPSAMPLERS:
        return UPSAMPLERS[name]
    current = DefaultScope.get_current_instance()
    scopes = (module.partition('.')[0], current.scope_name if current else '')
    for registry in (MODELS, TASK_UTILS):
        for node in (*(registry.children.get(scope) for scope in scopes), registry):
            found = node.module_dict.get(name) if node else None
            if inspect.isclass(found):
                return found
    return None


def _upsample_cfg(config: Mapping) -> Any:
    """The upsample_cfg of our head or neck; that of a stock one, in our terms."""
    own = config.get('upsample_cfg') or {}
    if not isinstance(own, Mapping) or 'type' in own:
        return own
    default = 'nearest' if _kind(config).startswith('FPN') else 'bilinear'
    return {'type': own.get('mode') or config.get('interpolate_mode') or default}
