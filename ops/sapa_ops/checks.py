"""Argument checks of all forms; errors name the argument, the given and the allowed value."""

import warnings

import torch
from torch import Tensor

#: What the operators take.
DTYPES = (torch.float16, torch.bfloat16, torch.float32, torch.float64)

#: What windows do at the borders of the map.
BORDERS = ('zeros', 'replicate', 'shift')


def shape(tensor: Tensor) -> tuple[int, ...]:
    """The shape as integers; while ``torch.jit.trace`` records, ``tensor.shape`` holds tensors."""
    if not torch.jit.is_tracing():
        return tuple(tensor.shape)
    with warnings.catch_warnings():
        # The checks are of the traced call alone; they are no part of the graph.
        warnings.simplefilter('ignore', torch.jit.TracerWarning)
        return tuple(int(side) for side in tensor.shape)


def check_maps(op: str, dims: int = 4, **tensors: Tensor) -> None:
    """Check that the tensors are dense, of our dtypes, and agree in batch size, dtype and device.

    Args:
        op (str): Name of the operator, for the message.
        dims (int): Number of dimensions of the first tensor; the others have 4. Defaults to 4.
        **tensors (Tensor): The operator's tensor arguments by name.

    Raises:
        TypeError: If an argument is not a dense tensor of ``DTYPES``, or the dtypes differ.
        ValueError: If the number of dimensions, the batch sizes or the devices differ.
    """
    first_name, first = next(iter(tensors.items()))
    for name, tensor in tensors.items():
        expected = dims if name == first_name else 4
        is_ours = isinstance(tensor, Tensor) and tensor.dtype in DTYPES
        if not is_ours or tensor.layout != torch.strided:
            got = tensor.layout if is_ours else getattr(tensor, 'dtype', type(tensor).__name__)
            raise TypeError(
                f'{op}: {name} must be a dense tensor of float16, bfloat16, float32 or float64, '
                f'got {got}'
            )
        if tensor.dim() != expected:
            raise ValueError(
                f'{op}: {name} must have {expected} dimensions, got shape {shape(tensor)}'
            )
        if 0 in shape(tensor)[1:]:
            raise ValueError(f'{op}: only the batch may be empty, {name} is {shape(tensor)}')
        if shape(tensor)[0] != shape(first)[0]:
            raise ValueError(
                f'{op}: batch sizes must agree, got {first_name} with {shape(first)[0]} '
                f'and {name} with {shape(tensor)[0]}'
            )
        if tensor.device != first.device:
            raise ValueError(
                f'{op}: all tensors must be on one device, got {first_name} on {first.device} '
                f'and {name} on {tensor.device}'
            )
        if tensor.dtype != first.dtype:
            raise TypeError(
                f'{op}: dtypes must agree outside autocast, got {first_name} {first.dtype} '
                f'and {name} {tensor.dtype}'
            )


def check_positive(owner: str, **numbers: int) -> None:
    """Check that named numbers are positive integers.

    Args:
        owner (str): Whose arguments they are, for the message.
        **numbers (int): The numbers.

    Raises:
        ValueError: If one is not.
    """
    for name, number in numbers.items():
        # While a graph is recorded, sizes are symbols.
        integer = isinstance(number, (int, torch.SymInt)) and not isinstance(number, bool)
        if not integer or number < 1:
            raise ValueError(f'{owner}: {name} must be a positive integer, got {number!r}')


def check_switch(op: str, **switches: bool) -> None:
    """Check that named switches are booleans.

    Raises:
        ValueError: If one is not.
    """
    for name, switch in switches.items():
        if not isinstance(switch, bool):
            raise ValueError(f'{op}: {name} must be True or False, got {switch!r}')


def check_kernel_size(op: str, kernel_size: int) -> None:
    """Check that the kernel size is a positive odd integer.

    Raises:
        ValueError: If it is not.
    """
    if isinstance(kernel_size, bool) or not isinstance(kernel_size, int) or kernel_size < 1:
        raise ValueError(f'{op}: kernel_size must be a positive odd integer, got {kernel_size!r}')
    if kernel_size % 2 == 0:
        raise ValueError(f'{op}: kernel_size must be odd, got {kernel_size}')


def check_groups(op: str, name: str, tensor: Tensor, groups: int) -> None:
    """Check that the groups are positive and divide the channels of a map evenly.

    Raises:
        ValueError: If they do not.
    """
    check_positive(op, groups=groups)
    channels = shape(tensor)[1]
    if channels % groups:
        raise ValueError(f'{op}: {name} has {channels} channels, not divisible by groups={groups}')


def check_sizes(op: str, high_name: str, high: Tensor, low_name: str, low: Tensor) -> None:
    """Check that the high-res map is at least as large as the low-res one.

    Raises:
        ValueError: If it is smaller in height or width.
    """
    high_size, low_size = shape(high)[-2:], shape(low)[-2:]
    if high_size[0] < low_size[0] or high_size[1] < low_size[1]:
        raise ValueError(
            f'{op}: {high_name} with (H, W) = {high_size} is smaller than {low_name} with '
            f'(h, w) = {low_size}; it must be at least as large in both'
        )


def check_low_size(op: str, height: int, width: int, high_name: str, high: Tensor) -> None:
    """Check that a low-res size is positive, and no larger than a high-res map.

    Raises:
        ValueError: If it is not.
    """
    high_size = shape(high)[-2:]
    if not (1 <= height <= high_size[0] and 1 <= width <= high_size[1]):
        raise ValueError(
            f'{op}: height and width must be in 1..{high_size[0]} and 1..{high_size[1]}, the size '
            f'of {high_name}, got {height} and {width}'
        )


def check_channels(op: str, name: str, tensor: Tensor, expected: int, reason: str) -> None:
    """Check the channels of a map against the number that follows from the other arguments.

    Raises:
        ValueError: If it differs.
    """
    channels = shape(tensor)[1]
    if channels != expected:
        raise ValueError(f'{op}: {name} must have {expected} channels ({reason}), got {channels}')


def check_same_size(op: str, name: str, tensor: Tensor, other_name: str, other: Tensor) -> None:
    """Check that two maps have the same height and width.

    Raises:
        ValueError: If they differ.
    """
    size, other_size = shape(tensor)[-2:], shape(other)[-2:]
    if size != other_size:
        raise ValueError(
            f'{op}: {name} must have the (H, W) of {other_name}, {other_size}, got {size}'
        )


def check_border(op: str, border: str, kernel_size: int, height: int, width: int) -> None:
    """Check that there is such a border, and that the low-res map has room for it.

    Raises:
        ValueError: If there is not, or a window is shifted that is larger than the map.
    """
    if not isinstance(border, str) or border not in BORDERS:
        raise ValueError(f'{op}: border must be one of {", ".join(BORDERS)}, got {border!r}')
    if border == 'shift' and (height < kernel_size or width < kernel_size):
        raise ValueError(
            f"{op}: border='shift' needs a low-res map no smaller than kernel_size={kernel_size}, "
            f'got (h, w) = {(height, width)}'
        )


def check_window_weight(
    op: str, name: str, feature: Tensor, weight: Tensor, kernel_size: int, groups: int
) -> None:
    """Check the window and the groups, which a map must split into, and the weight's channels.

    Raises:
        ValueError: If one does not fit.
    """
    check_kernel_size(op, kernel_size)
    check_groups(op, name, feature, groups)
    check_channels(op, 'weight', weight, groups * kernel_size**2, 'groups * kernel_size**2')


def check_point_weight(op: str, name: str, feature: Tensor, weight: Tensor, offset: Tensor) -> None:
    """Check that a map splits into the weight's groups, and that the offset is for its points.

    Raises:
        ValueError: If it does not, or is not.
    """
    groups, points = shape(weight)[1:3]
    check_groups(op, name, feature, groups)
    check_channels(op, 'offset', offset, 2 * groups * points, 'groups * points * 2')
