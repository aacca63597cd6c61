"""What autocast makes of an operator's inputs."""

import torch
from torch import Tensor

_CASTABLE = (torch.float16, torch.bfloat16, torch.float32)

_NAMES = ('CPU', 'CUDA', 'XPU', 'MPS', 'HPU', 'XLA', 'IPU', 'MTIA', 'MAIA', 'PrivateUse1')

#: The dispatch keys of autocast, one for each type of device that has it.
KEYS = tuple(
    f'Autocast{name}' for name in _NAMES if hasattr(torch._C.DispatchKey, f'Autocast{name}')
)


def enabled(device_type: str) -> bool:
    """Tell whether autocast is on for a type of device ('meta' has none)."""
    # (Not by ``torch.amp.is_autocast_available``, which torch.compile cannot trace on torch 2.7.)
    return device_type != 'meta' and torch.is_autocast_enabled(device_type)


def cast(tensors: tuple[Tensor, ...], to: str | None) -> tuple[Tensor, ...]:
    """Where autocast is on, cast the inputs as it does for its own operators.

    Args:
        tensors (tuple[Tensor, ...]): Inputs; float64 is left as it is, as by autocast itself.
        to (str | None): What to cast to: 'float32', 'lower' (autocast's dtype) or None, nothing.

    Returns:
        tuple[Tensor, ...]: The inputs, cast where autocast is on.
    """
    first = tensors[0]
    if to is None or not isinstance(first, Tensor) or not enabled(first.device.type):
        return tensors
    dtype = torch.float32 if to == 'float32' else torch.get_autocast_dtype(first.device.type)
    return tuple(
        t.to(dtype) if isinstance(t, Tensor) and t.dtype in _CASTABLE else t for t in tensors
    )
