"""Upsamplers with options, and inputs for them."""

import inspect

import pytest
import torch

from sapa_mm.upsamplers import UPSAMPLERS, build_upsampler

_SMALL = dict(
    kernel_size=3, up_kernel=3, compressed_channels=2, embed_dims=2, num_points=3, groups=2
)


def _small_options(kind):
    """Those of its options that are larger by default."""
    options = inspect.signature(kind).parameters
    return {name: n for name, n in _SMALL.items() if name in options and n < options[name].default}


# Every type with a tiny build of it.
ALL_TYPES = {name: _small_options(kind) for name, kind in UPSAMPLERS.items()}

# Every type by name; all but SAPA-D in the extended tier.
SAPA_D_FIRST = [
    pytest.param(kind, marks=() if kind == 'sapa_d' else pytest.mark.extended)
    for kind in UPSAMPLERS
]

# What the tables do not use, or not in the main rows, with code of its own.
PEER_VARIANTS = [
    ('carafe', dict(ALL_TYPES['carafe'], up_group=2)),
    ('fade', dict(ALL_TYPES['fade'], gate=True)),
    ('index_net', dict(variant='m2o', hidden_ratio=2)),
    ('dysample', dict(style='pl', groups=2, dynamic_scope=True)),
]


def make_upsampler(kind, channels=4, guide_channels=None, scale_factor=2, seed=0, **options):
    """An upsampler in float64 whose parameters are all drawn anew, so that each one matters."""
    cfg = dict(type=kind, **options)
    upsampler = build_upsampler(cfg, channels, guide_channels, scale_factor).double()
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for parameter in upsampler.parameters():
            fan_in = parameter[0].numel() if parameter.dim() > 1 else 4
            noise = torch.randn(parameter.shape, generator=generator, dtype=torch.float64)
            parameter.copy_(noise / fan_in**0.5)
        for name, buffer in upsampler.named_buffers():
            if buffer.is_floating_point():
                noise = torch.rand(buffer.shape, generator=generator, dtype=torch.float64)
                buffer.copy_(noise + (0.5 if name.endswith('var') else -0.5))
    return upsampler


def make_inputs(upsampler, low, high, batch=2, dtype=torch.float64, seed=0):
    """x and guide; values are rounded to dtype."""
    generator = torch.Generator().manual_seed(seed)

    def randn(channels, size):
        shape = (batch, channels, *size)
        return torch.randn(shape, generator=generator, dtype=torch.float64).to(dtype)

    return randn(upsampler.in_channels, low), randn(upsampler.guide_channels, high)


def keep_points_in_cells(upsampler):
    """Keeps SAPA-D's points off the grid lines, where rounding would flip their gradient."""
    with torch.no_grad():
        upsampler.offset.weight *= 0.05
        upsampler.offset.bias.floor_().add_(0.5)


def assert_learns(module, loss, inputs=(), lr=0.01):
    """Every parameter and input has a gradient, and following it lowers the loss."""
    before = loss()
    before.backward()
    leaves = [*module.named_parameters(), *((f'input {i}', x) for i, x in enumerate(inputs))]
    without = [name for name, leaf in leaves if leaf.grad is None or leaf.grad.abs().max() == 0]
    assert without == []
    torch.optim.SGD(module.parameters(), lr=lr).step()
    assert loss().item() < before.item()


def assert_trace_serves(module, example, other):
    """Hold a module that ``torch.jit.trace`` records at one size to its results at another."""
    with torch.no_grad():
        traced = torch.jit.trace(module, (example,))
        torch.testing.assert_close(traced(other), module(other))
