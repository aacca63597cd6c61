"""Weights that an older version of this package trained, with another rule for odd sizes."""

import warnings
from collections.abc import Iterator, Mapping
from typing import Any

from sapa_ops.geometry import is_recorded
from torch import Tensor, nn

from ..upsamplers import Upsampler
from ..upsamplers.resize import whole_side

GEOMETRY = str(Upsampler._version)
"""The rule for the low-res parent of a high-res pixel; '1' is 0.1's, see ``Upsampler``."""


def trained_geometry(checkpoint: Mapping[str, Any], model: nn.Module) -> str:
    """Find out with which rule for odd sizes a checkpoint was trained.

    Args:
        checkpoint (Mapping[str, Any]): The checkpoint. Published weights name the rule; torch keeps
            the version of every module with the weights.
        model (nn.Module): Its model.

    Returns:
        str: '1' or '2'; the current one for checkpoints of other projects.
    """
    meta = checkpoint.get('meta')
    if not isinstance(meta, Mapping):
        return GEOMETRY
    if 'geometry' in meta:
        return str(meta['geometry'])
    modules = getattr(checkpoint.get('state_dict'), '_metadata', None)
    if 'sapa_mm' in str(meta.get('cfg')) and isinstance(modules, Mapping):
        for name, _ in _upsamplers_of_another_rule(model):
            if (modules.get(name) or {}).get('version') == 1:
                return '1'
    return GEOMETRY


def warn_at_odd_sizes(model: nn.Module, label: str) -> None:
    """Warn once when an upsampler meets a size at which 0.1 gave another result.

    Args:
        model (nn.Module): A model with weights of version 0.1.
        label (str): What the warning calls them.
    """
    handles: list[Any] = []

    def check(upsampler: nn.Module, inputs: tuple) -> None:
        if is_recorded() or not _is_odd(*inputs):
            return
        for handle in handles:
            handle.remove()
        low, high = (tuple(feature.shape[2:]) for feature in inputs)
        warnings.warn(
            f'{label} was trained before sapa_mm 0.2.0, which upsamples {low} to {high} in another '
            'way, so results may differ from those of 0.1; train again, or pad images to a '
            'multiple of 32 (ResizeToMultiple, pad_size_divisor=32)',
            stacklevel=2,
        )

    for _, module in _upsamplers_of_another_rule(model):
        handles.append(module.register_forward_pre_hook(check))


def _upsamplers_of_another_rule(model: nn.Module) -> Iterator[tuple[str, Upsampler]]:
    """The upsamplers that 0.1 computed otherwise at odd sizes, with their names."""
    for name, module in model.named_modules():
        if isinstance(module, Upsampler) and module._version == Upsampler._version:
            yield name, module


def _is_odd(x: Any = None, guide: Any = None) -> bool:
    """Whether a backbone would get from the guide's size to that of x by rounding up."""
    if not (isinstance(x, Tensor) and isinstance(guide, Tensor) and x.dim() == guide.dim() == 4):
        return False
    sides = zip(x.shape[2:], guide.shape[2:], strict=True)
    return any(low and whole_side(low, high) != high for low, high in sides)
