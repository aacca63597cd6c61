"""Multiply-adds of a model, from torch's FLOP counter."""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.utils.flop_counter import FlopCounterMode

from ..upsamplers import Upsampler


@dataclass(frozen=True)
class Flops:
    """Multiply-adds of one forward pass; each counts as one.

    Attributes:
        counted (int): Of convolutions, matrix products, attention, ``grid_sample`` (four for each
            bilinear sample) and this project's operators. Interpolation, normalisation and
            elementwise steps are not counted.
        upsamplers (int): The upsamplers' share of them.
        upsamplers_by_formula (int | None): Of the upsamplers, by their
            ``flops_per_position`` and the sizes of their inputs.
            None if an upsampler has no formula.
        note (str): Why the two differ, if they do, or which upsamplers have no formula.
    """

    counted: int
    upsamplers: int
    upsamplers_by_formula: int | None
    note: str


def count_flops(model: nn.Module, run: Callable[[Tensor], Any], shape: tuple[int, ...]) -> Flops:
    """Counts one forward pass without computing it, on fake tensors.

    Args:
        model (nn.Module): The model.
        run (Callable[[Tensor], Any]): What to count, called with the input.
        shape (tuple[int, ...]): Shape of the input.

    Returns:
        Flops: The counts.
    """
    counter = FlopCounterMode(
        display=False, custom_mapping={torch.ops.aten.grid_sampler_2d: _count_grid_sample}
    )
    # Upsampler, low-res positions, the counter's state before and after.
    calls: list[list] = []

    def enter(upsampler: Upsampler, inputs: tuple[Tensor, ...], kwargs: dict[str, Tensor]) -> None:
        x = inputs[0] if inputs else kwargs['x']
        positions = x.numel() // x.shape[1]
        calls.append([upsampler, positions, counter.get_total_flops()])

    def leave(upsampler: Upsampler, inputs: tuple[Tensor, ...], out: Tensor) -> None:
        calls[-1].append(counter.get_total_flops())

    upsamplers = [module for module in model.modules() if isinstance(module, Upsampler)]
    hooks = [module.register_forward_pre_hook(enter, with_kwargs=True) for module in upsamplers]
    hooks += [module.register_forward_hook(leave) for module in upsamplers]
    training = {module: module.training for module in model.modules()}
    model.eval()
    try:
        with (
            FakeTensorMode(allow_non_fake_inputs=True),
            torch.no_grad(),
            # Innermost, so that it sees the operators first.
            counter,
        ):
            run(torch.empty(shape))
    finally:
        for module, mode in training.items():
            module.training = mode
        for hook in hooks:
            hook.remove()
    unknown = dict.fromkeys(u.title for u, *_ in calls if u.flops_per_position() is None)
    notes = [f'{title} states no flops_per_position' for title in unknown]
    by_formula = None if unknown else 0
    if not unknown:
        for upsampler, positions, before, after in calls:
            expected = upsampler.flops_per_position() * positions
            by_formula += expected
            if after - before != 2 * expected and upsampler.counter_note not in notes:
                notes.append(upsampler.counter_note)
    # The counter counts a multiply-add as two.
    return Flops(
        counted=counter.get_total_flops() // 2,
        upsamplers=sum(after - before for _, _, before, after in calls) // 2,
        upsamplers_by_formula=by_formula,
        note='; '.join(notes),
    )


#: Pixels that a sample of ``grid_sample`` is made of, by its mode: bilinear, nearest, bicubic.
_PIXELS = (4, 0, 16)


def _count_grid_sample(
    image: torch.Size, grid: torch.Size, mode: int, *_: Any, out_shape: torch.Size, **__: Any
) -> int:
    """Formula for torch's counter, which has none; see ``register_flop_formula``."""
    return 2 * _PIXELS[mode] * math.prod(out_shape)
