"""The compiled form: C++ for the CPU, CUDA C++ for the GPU, on torch's stable ABI.

The library has no Python in it, and serves every Python and every torch from 2.10. Its kernels are
in a namespace of their own, ``torch.ops.sapa_ops_compiled``.
"""

import json
import os
import struct
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from .checks import DTYPES
from .schemas import SCHEMAS, define_schemas

NAMESPACE = 'sapa_ops_compiled'

_HERE = Path(__file__).parent

_ELF, _MACH_O = b'\x7fELF', b'\xcf\xfa\xed\xfe'
# Where an ELF file says where its table of sections lies, which is the last of it: type and offset.
_SECTIONS = (('Q', 40), ('H', 58), ('H', 60))

_NOT_BUILT = 'no library was built'

# The revision of what the operators compute; csrc/bindings/cpu.cpp has the same number.
_REVISION = 4


def _load() -> str | None:
    """Load the library; return what went wrong, or None."""
    override = os.environ.get('SAPA_OPS_LIBRARY')
    libraries = [Path(override)] if override else sorted(_HERE.glob('_kernels*.so'))
    version = tuple(int(part) for part in torch.__version__.split('.')[:2])
    if version < (2, 10):
        return f'it needs torch 2.10 or later, this is {torch.__version__}'
    if not libraries:
        return _NOT_BUILT
    other = f'{libraries[0]} was built from other sources of sapa_ops, build it again'
    try:
        content = libraries[0].read_bytes()
        if _is_cut_short(content):
            raise OSError('the file is cut short')
        if content[:4] in (_ELF, _MACH_O) and NAMESPACE.encode() not in content:
            return other  # before version 0.2, which would take our place in torch.ops
        torch.ops.load_library(str(libraries[0]))
    except OSError as error:
        why = error.__cause__ or error
        return f'{libraries[0]} cannot be loaded with torch {torch.__version__}: {why}'
    revision = getattr(getattr(torch.ops, NAMESPACE), 'revision', lambda: None)()
    return None if revision == _REVISION else other


def _is_cut_short(content: bytes) -> bool:
    """Tell whether the end of an ELF file is missing, which the loader would not survive."""
    if content[:4] != _ELF or len(content) < 64:
        return False
    table, size, count = (struct.unpack_from(f'<{kind}', content, at)[0] for kind, at in _SECTIONS)
    return len(content) < table + size * count


def _read_build_record() -> dict[str, str]:
    """Read why devices were left out when it was built; a broken record says nothing."""
    try:
        return dict(json.loads((_HERE / '_build.json').read_text()))
    except (OSError, ValueError, TypeError):
        return {}


# Once, at import: every operator asks.
_schemas = define_schemas(NAMESPACE)
_load_error = _load()
_why_not_built = _read_build_record()
_has_cuda = _load_error is None and torch._C._dispatch_has_kernel_for_dispatch_key(
    f'{NAMESPACE}::window_similarity', 'CUDA'
)


def _point_adjoint(weight: Tensor, *args: Any) -> Tensor:
    if weight.is_cuda:
        # Its threads add to the same pixels in no fixed order.
        _alert_not_deterministic('sapa_ops.point_adjoint on CUDA')
    return getattr(torch.ops, NAMESPACE).point_adjoint.default(weight, *args)


def _alert_not_deterministic(what: str) -> None:
    """Warn or raise as torch does, whose function for it is not in Python."""
    if not torch.are_deterministic_algorithms_enabled():
        return
    message = (
        f'{what} has no deterministic implementation, but '
        "'torch.use_deterministic_algorithms(True)' is set"
    )
    if not torch.is_deterministic_algorithms_warn_only_enabled():
        raise RuntimeError(message)
    warnings.warn(message, stacklevel=2)


#: The operators by name.
OPERATORS: dict[str, Callable] = {
    **{name: getattr(getattr(torch.ops, NAMESPACE), name).default for name in SCHEMAS},
    'point_adjoint': _point_adjoint,
}


def why_not(tensor: Tensor) -> str | None:
    """Tell why the compiled form cannot run on this tensor.

    Args:
        tensor (Tensor): An input of the operator.

    Returns:
        str | None: The reason, or None if it can run.
    """
    device = tensor.device.type
    if device not in ('cpu', 'cuda'):
        return f'it has kernels for cpu and cuda only, the tensor is on {device}'
    if _load_error is not None:
        reason = _why_not_built.get(device) if _load_error == _NOT_BUILT else None
        return f'{_load_error}: {reason}' if reason else _load_error
    if device == 'cuda' and not _has_cuda:
        return _why_not_built.get('cuda', 'the library was built without CUDA')
    if tensor.dtype not in DTYPES:
        return f'it has no kernel for {tensor.dtype}'
    return None
