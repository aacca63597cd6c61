"""Seam for the compiled form: C++ for the CPU, CUDA C++ for the GPU.

A library that registers ``torch.ops.sapa_ops`` fills in the four operators here; until then
:func:`why_not` is all that the dispatch asks.
"""

from torch import Tensor


def why_not(tensor: Tensor) -> str | None:
    """Why the compiled form cannot run on this tensor, or None if it can.

    Args:
        tensor (Tensor): An input of the operator.

    Returns:
        str | None: The reason.
    """
    return f'this version of sapa_ops has no compiled library for {tensor.device.type}'
