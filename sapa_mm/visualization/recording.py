"""What the upsamplers of a model are called with, recorded by hooks that are gone afterwards."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from torch import Tensor, nn

from ..upsamplers import Upsampler


@dataclass(frozen=True)
class Call:
    """A call of an upsampler; tensors are copies, which later layers cannot change.

    Attributes:
        name (str): The upsampler's name in the model.
        upsampler (Upsampler): The upsampler.
        x (Tensor): (N, C, h, w).
        guide (Tensor, optional): (N, C', H, W).
        output (Tensor): (N, C, H, W).
    """

    name: str
    upsampler: Upsampler
    x: Tensor
    guide: Tensor | None
    output: Tensor


@contextmanager
def record_calls(model: nn.Module) -> Iterator[list[Call]]:
    """Records the calls of a model's upsamplers while the context is open.

    Args:
        model (nn.Module): The model, or an upsampler.

    Yields:
        list[Call]: The calls so far, in their order.
    """
    calls = []

    def recorder(name):
        def record(upsampler, inputs, named, output):
            arguments = dict(zip(('x', 'guide'), inputs, strict=False), **named)
            x, guide = arguments['x'], arguments.get('guide')
            calls.append(Call(name, upsampler, *map(_copy, (x, guide, output))))

        return record

    handles = []
    try:
        for name, module in model.named_modules():
            if isinstance(module, Upsampler):
                handles.append(module.register_forward_hook(recorder(name), with_kwargs=True))
        yield calls
    finally:
        for handle in handles:
            handle.remove()


def first_calls(calls: list[Call]) -> list[Call]:
    """The first call of each upsampler: with test time augmentation there are several."""
    first = {}
    for call in calls:
        first.setdefault(call.upsampler, call)
    return list(first.values())


def _copy(tensor: Tensor | None) -> Tensor | None:
    return None if tensor is None else tensor.detach().clone()
