"""Choose which form of the operators runs, and tell why the others do not."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

from . import compiled, eager


def _eager_why_not(tensor: Tensor) -> str | None:
    return None


# In order of preference. A form is a module with the four operators.
_FORMS = {'compiled': (compiled, compiled.why_not), 'eager': (eager, _eager_why_not)}
_forced: str | None = None


@dataclass(frozen=True)
class BackendReport:
    """The form that would run, and why the others would not.

    Attributes:
        name (str): 'compiled' or 'eager'.
        unavailable (dict[str, str]): For each other form, why it does not run.
    """

    name: str
    unavailable: dict[str, str] = field(default_factory=dict)

    def __str__(self) -> str:
        reasons = ''.join(f'; not {form}: {why}' for form, why in self.unavailable.items())
        return self.name + reasons


def backend_for(tensor: Tensor) -> BackendReport:
    """Tell which form of the operators would run on a tensor.

    Args:
        tensor (Tensor): An input of the operator; its device and dtype decide.

    Returns:
        BackendReport: The form, and why each other would not run.

    Raises:
        RuntimeError: If a form is forced by ``use_backend`` and cannot run on this tensor.
    """
    unavailable = {}
    chosen = ''
    for name, (_, why_not) in _FORMS.items():
        reason = why_not(tensor)
        if reason is None and _forced not in (None, name):
            reason = f"use_backend('{_forced}') is in force"
        elif reason is None and chosen:
            reason = f'{chosen} is preferred'
        elif reason is None:
            chosen = name
            continue
        elif name == _forced:
            raise RuntimeError(f"use_backend('{name}') cannot be honoured: {reason}")
        unavailable[name] = reason
    return BackendReport(chosen, unavailable)


@contextmanager
def use_backend(name: str) -> Iterator[None]:
    """Force one form of the operators, for the whole process, while the context is open.

    Args:
        name (str): 'compiled' or 'eager'. Operators raise a RuntimeError with the reason if the
            form cannot run on their tensors.

    Raises:
        ValueError: If there is no form of that name.
    """
    global _forced
    if name not in _FORMS:
        raise ValueError(f'use_backend: name must be one of {", ".join(_FORMS)}, got {name!r}')
    previous, _forced = _forced, name
    try:
        yield
    finally:
        _forced = previous


def dispatch(operator: str, tensors: tuple[Tensor, ...], *options: Any) -> Tensor:
    """Run an operator in the form that ``backend_for`` names.

    The inputs are already cast, and what a form computes in float32 must stay float32, so autocast
    is off inside.
    """
    module, _ = _FORMS[backend_for(tensors[0]).name]
    function = getattr(module, operator)
    device_type = tensors[0].device.type
    if not autocast_enabled(device_type):
        return function(*tensors, *options)
    with torch.autocast(device_type, enabled=False):
        return function(*tensors, *options)


def autocast_enabled(device_type: str) -> bool:
    """Tell whether autocast is on for a type of device ('meta' has none)."""
    # (Not by ``torch.amp.is_autocast_available``, which torch.compile cannot trace on torch 2.7.)
    return device_type != 'meta' and torch.is_autocast_enabled(device_type)


def autocast(*tensors: Tensor, dtype: torch.dtype | None = None) -> tuple[Tensor, ...]:
    """Where autocast is on, cast the inputs as it does for its own operators.

    Args:
        *tensors (Tensor): Inputs; float64 is left as it is, as by autocast itself.
        dtype (torch.dtype, optional): What to cast to. Defaults to None, autocast's dtype.

    Returns:
        tuple[Tensor, ...]: The inputs, cast where autocast is on.
    """
    first = tensors[0]
    if not isinstance(first, Tensor) or not autocast_enabled(first.device.type):
        return tensors
    dtype = dtype or torch.get_autocast_dtype(first.device.type)
    castable = (torch.float16, torch.bfloat16, torch.float32)
    return tuple(
        t.to(dtype) if isinstance(t, Tensor) and t.dtype in castable else t for t in tensors
    )
