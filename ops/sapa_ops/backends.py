"""Choose which form of the operators runs, and tell why the others do not."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

import torch
from torch import Tensor

from . import compiled


def _eager_why_not(tensor: Tensor) -> str | None:
    return None


# In order of preference, with the reason why a form does not run on a tensor.
_FORMS = {'compiled': compiled.why_not, 'eager': _eager_why_not}
# The contexts that are open, in any thread: the last one entered forces its form.
_in_force: list[tuple[str | None, object]] = [(None, None)]
_chosen: dict[tuple, str] = {}


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
    return _report(tensor, _in_force[-1][0])


def _report(tensor: Tensor, forced: str | None) -> BackendReport:
    unavailable = {}
    chosen = ''
    for name, why_not in _FORMS.items():
        reason = why_not(tensor)
        if reason is None and forced not in (None, name):
            reason = f"use_backend('{forced}') is in force"
        elif reason is None and chosen:
            reason = f'{chosen} is preferred'
        elif reason is None:
            chosen = name
            continue
        elif name == forced:
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
        RuntimeError: If a graph is being recorded, which is the same for all forms.
    """
    if torch.compiler.is_compiling():
        raise RuntimeError('use_backend: enter it around what is compiled or exported, not within')
    if name not in _FORMS:
        raise ValueError(f'use_backend: name must be one of {", ".join(_FORMS)}, got {name!r}')
    context = (name, object())
    _in_force.append(context)
    try:
        yield
    finally:
        _in_force.remove(context)


def choose(tensor: Tensor) -> str:
    """Tell the name of the form that runs on a tensor, quicker than ``backend_for``.

    Raises:
        RuntimeError: As ``backend_for``.
    """
    forced = _in_force[-1][0]
    key = (tensor.device.type, tensor.dtype, forced)
    if key not in _chosen:
        _chosen[key] = _report(tensor, forced).name
    return _chosen[key]
