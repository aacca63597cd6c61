"""Whether the heads of a model have as many classes as the data."""

import inspect
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from mmengine.registry import MODELS

from ...utils.configs import nested_configs
from .dataset_config import find_class
from .report import ReportLine

# Heads by what they number, under the names of their bases in mmseg and mmdet.
_OF_ALL = {'BaseDecodeHead', 'MaskFormerHead', 'BaseSemanticHead', 'BasePanopticFusionHead'}
_OF_ALL |= {'KernelUpdateHead'}
_OF_INSTANCES = {'BBoxHead', 'SABLHead', 'FCNMaskHead', 'MaskPointHead', 'MaskIoUHead'}
_OF_INSTANCES |= {'BaseDenseHead', 'BaseMaskHead', 'DETRHead'}
# These derive from them, but number something else: edges, or names in a text.
_OF_OTHERS = {'STDCHead', 'SideAdapterCLIPHead', 'GroundingDINOHead', 'ATSSVLFusionHead'}
_NUMBERS = ('num_classes', 'num_things_classes', 'num_stuff_classes')


@dataclass(frozen=True)
class Head:
    """A head whose numbers of classes are certain to be those of the data.

    Attributes:
        key (str): Its dotted key.
        config (dict): Its config.
        bases (set[str]): The names of the classes that it derives from.
        numbers (dict[str, int]): Its numbers of classes by setting, set or the default.
    """

    key: str
    config: dict
    bases: set[str]
    numbers: dict[str, int]


def find_heads(model: Any) -> Iterator[Head]:
    """Find the heads whose numbers of classes are certain to be those of the data.

    Args:
        model (Any): The config of a model, in whose scope the current one must be.

    Yields:
        Head: Each. Region proposals, heads that match texts and unknown ones are left out.
    """
    for key, config in nested_configs(model, 'model'):
        parts = key.split('.')
        kind = find_class(MODELS, config.get('type'))
        if 'rpn_head' in parts or not inspect.isclass(kind):
            continue
        bases = {base.__name__ for base in inspect.getmro(kind)}
        if not bases & (_OF_ALL | _OF_INSTANCES) or bases & _OF_OTHERS:
            continue
        # An auxiliary head of somebody's own may number edges, as STDCHead does.
        is_known = kind.__module__.partition('.')[0] in ('mmseg', 'mmdet', 'sapa_mm')
        if config.get('class_agnostic') or ('auxiliary_head' in parts and not is_known):
            continue
        numbers = {name: config.get(name, default) for name, default in _defaults(kind).items()}
        unset = (None, inspect.Parameter.empty)
        numbers = {name: number for name, number in numbers.items() if number not in unset}
        if numbers:
            yield Head(key, config, bases, numbers)


def find_head_problems(
    heads: Sequence[Head], classes: int, things: int | None, name: str
) -> Iterator[ReportLine]:
    """Find heads with another number of classes than the data.

    Args:
        heads (Sequence[Head]): The heads, from ``find_heads``.
        classes (int): The number of classes of the data.
        things (int, optional): How many of them are things, which boxes and masks are of; None if
            the data are not panoptic.
        name (str): The key of the dataset.

    Yields:
        ReportLine: An error for each number, and each list of weights, that does not fit.
    """
    for head in heads:
        odd = [key for key, number in head.numbers.items() if type(number) is not int]
        if odd:
            text = f'{head.key}.{odd[0]} is {head.numbers[odd[0]]!r}, must be a whole number'
            yield ReportLine('error', text)
            continue
        for key, (number, wanted, kind) in _compare(head, classes, things).items():
            if number != wanted and not _is_binary(head, wanted):
                is_set = any(name in head.config for name in key.split(' + '))
                default = '' if is_set else ' by default'
                text = f'{head.key}.{key} is {number}{default}, but {name} has {wanted} {kind}'
                yield ReportLine('error', text)
                break
        else:
            yield from _weight_problems(head)


def _compare(head: Head, classes: int, things: int | None) -> dict[str, tuple[int, int, str]]:
    """The head's number, that of the data and what is counted, by the setting."""
    numbers = head.numbers
    if 'num_classes' in numbers:
        number = numbers['num_classes']
        if things is None or head.bases & _OF_ALL:
            return {'num_classes': (number, classes, 'classes')}
        return {'num_classes': (number, things, 'classes of things')}
    if things is None:  # some are instances, some not: their sum is certain
        return {' + '.join(numbers): (sum(numbers.values()), classes, 'classes')}
    wanted = {
        'num_things_classes': (things, 'classes of things'),
        'num_stuff_classes': (classes - things, 'classes of stuff'),
    }
    return {key: (number, *wanted[key]) for key, number in numbers.items()}


def _is_binary(head: Head, classes: int) -> bool:
    """Whether one channel, with a threshold, is to tell two classes apart, as mmseg can."""
    losses = [loss for _, loss in nested_configs(head.config.get('loss_decode'), '')]
    is_one = head.numbers.get('num_classes') == 1 and classes == 2
    return is_one and bool(losses) and all(loss.get('use_sigmoid') for loss in losses)


def _weight_problems(head: Head) -> Iterator[ReportLine]:
    """Find losses with another number of weights than the head has outputs."""
    number = sum(head.numbers.values())
    is_plain = 'BaseDecodeHead' in head.bases
    if is_plain and head.config.get('out_channels') == 1:
        return
    if not is_plain and not head.bases & {'BBoxHead', 'MaskFormerHead'}:
        return
    name = 'loss_decode' if is_plain else 'loss_cls'
    for key, loss in nested_configs(head.config.get(name), f'{head.key}.{name}'):
        # The last one is of the background, or of no object.
        outputs = number if is_plain or loss.get('use_sigmoid') else number + 1
        weights = loss.get('class_weight')
        if isinstance(weights, (list, tuple)) and len(weights) != outputs:
            text = f'{key}.class_weight has {len(weights)} numbers, must have {outputs}'
            yield ReportLine('error', f'{text}, one for each output of the head')


def _defaults(kind: type) -> dict[str, Any]:
    """The defaults of the first constructor that takes numbers of classes; others are hidden.

    mmseg's MaskFormer takes ``num_classes``, its base in mmdet those of things and of stuff.
    """
    for base in inspect.getmro(kind):
        if inspect.isfunction(constructor := vars(base).get('__init__')):
            parameters = inspect.signature(constructor).parameters
            defaults = {name: parameters[name].default for name in _NUMBERS if name in parameters}
            if defaults:
                return defaults
    return {}
