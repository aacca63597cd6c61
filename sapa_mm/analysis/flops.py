"""Multiply-adds of a running model, by torch's own counter."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import sapa_ops
import torch
from torch import Tensor, nn
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.utils.flop_counter import FlopCounterMode

from ..upsamplers import Upsampler
from .table_1 import flops_per_position, why_counted_differs


@dataclass(frozen=True)
class Flops:
    """Multiply-adds of one forward pass; each counts once.

    Attributes:
        counted (int): Of convolutions, matrix products, attention and this project's operators.
            Interpolation, normalisation and elementwise steps are not counted.
        upsamplers (int): That part of them that is the upsamplers'.
        upsamplers_by_formula (int | None): Of the upsamplers, by Table 1 and the sizes of their
            inputs. None if an upsampler has no formula.
        note (str): Why the two differ, where they do.
    """

    counted: int
    upsamplers: int
    upsamplers_by_formula: int | None
    note: str


def count_flops(model: nn.Module, run: Callable[[Tensor], Any], shape: tuple[int, ...]) -> Flops:
    """Counts one forward pass, without computing it: on tensors that have shapes only.

    Args:
        model (nn.Module): The model.
        run (Callable[[Tensor], Any]): What to count, called with the input.
        shape (tuple[int, ...]): Shape of the input.

    Returns:
        Flops: What was counted.

    Raises:
        RuntimeError: If ``sapa_ops`` has no compiled operators: plain PyTorch's steps are
            elementwise and would not be counted.
    """
    counter = FlopCounterMode(display=False)
    # Upsampler, low-res positions, the counter's state before and after.
    calls: list[list] = []

    def enter(upsampler: Upsampler, inputs: tuple[Tensor, ...], named: dict[str, Tensor]) -> None:
        x = inputs[0] if inputs else named['x']
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
            sapa_ops.use_backend('compiled'),
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
    formulas = [flops_per_position(upsampler) for upsampler, *_ in calls]
    by_formula, notes = None, {}
    if None not in formulas:
        expected = [f * call[1] for f, call in zip(formulas, calls, strict=True)]
        by_formula = sum(expected)
        notes = {
            why_counted_differs(upsampler): None
            for number, (upsampler, _, before, after) in zip(expected, calls, strict=True)
            if after - before != 2 * number
        }
    # The counter counts a multiply-add as two.
    return Flops(
        counted=counter.get_total_flops() // 2,
        upsamplers=sum(after - before for _, _, before, after in calls) // 2,
        upsamplers_by_formula=by_formula,
        note='; '.join(notes),
    )
