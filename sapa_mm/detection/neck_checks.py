"""Checks of the arguments and inputs of both necks."""

from collections.abc import Sequence

from torch import Tensor, nn


def check_levels(
    neck: str, in_channels: Sequence[int], num_outs: int, start_level: int, end_level: int
) -> None:
    """Check the channels and levels that a neck is built with.

    Args:
        neck (str): Name of the neck, for error messages.
        in_channels (Sequence[int]): Channels of each input.
        num_outs (int): Number of outputs.
        start_level (int): First input that is used.
        end_level (int): Last input that is used; -1 is the last of all.

    Raises:
        TypeError: If in_channels is not a list.
        ValueError: If a level does not exist, or num_outs does not suit the levels.
    """
    if not isinstance(in_channels, list):
        raise TypeError(f'{neck}: in_channels must be a list of int, got {in_channels!r}')
    num_ins = len(in_channels)
    if not 0 <= start_level < num_ins:
        raise ValueError(
            f'{neck}: start_level must be in 0..{num_ins - 1} for {num_ins} in_channels, '
            f'got {start_level}'
        )
    if end_level != -1 and not start_level <= end_level < num_ins:
        raise ValueError(
            f'{neck}: end_level must be -1 or in {start_level}..{num_ins - 1} for {num_ins} '
            f'in_channels and start_level={start_level}, got {end_level}'
        )
    last = num_ins - 1 if end_level == -1 else end_level
    used = last - start_level + 1
    if num_outs < used or (num_outs > used and last < num_ins - 1):
        allowed = f'{used}' if last < num_ins - 1 else f'{used} or more'
        raise ValueError(
            f'{neck}: num_outs must be {allowed} for the levels {start_level}..{last} of '
            f'{num_ins} in_channels, got {num_outs}'
        )


def check_inputs(neck: nn.Module, inputs: Sequence[Tensor]) -> None:
    """Check the features that a neck is called with.

    Args:
        neck (nn.Module): The neck, with ``in_channels``.
        inputs (Sequence[Tensor]): Features (N, C_i, H_i, W_i) of the backbone, finest first.

    Raises:
        ValueError: If their number or their channels are not those of in_channels.
    """
    got = [feature.shape[1] for feature in inputs]
    if got != list(neck.in_channels):
        raise ValueError(
            f'{type(neck).__name__}: expects {len(neck.in_channels)} inputs with in_channels='
            f'{list(neck.in_channels)}, got {len(got)} inputs with {got} channels; compare '
            "the backbone's out_indices"
        )
