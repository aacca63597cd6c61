"""A number that is no number shows: a diverged model must not give a plausible picture."""

import copy

import sapa_ops
import torch

from ..support.operators import FORMS, skip_where_not_built
from ..support.pairs import parametrize_each
from ..support.slow_upsamplers import slow_upsampler
from ..support.upsamplers import ALL_TYPES, PEER_VARIANTS, make_inputs, make_upsampler

CASES = [
    *[(kind, options, 4) for kind, options in (*ALL_TYPES.items(), *PEER_VARIANTS)],
    ('bilinear', dict(crop=True), 4),
    *[
        ('sapa_b', dict(ALL_TYPES['sapa_b'], similarity_norm=norm), 4)
        for norm in ('none', 'relu', 'sigmoid', 'softplus')
    ],
    ('sapa_d', dict(ALL_TYPES['sapa_d'], shared_offset=True), 4),
    ('sapa_d', dict(num_points=3, groups=2, guided=False), 4),
    *[(kind, dict(ALL_TYPES[kind], pre_norm=True), 32) for kind in ('sapa_i', 'sapa_b', 'sapa_d')],
]
SIZES = ((2, 3), (3, 6))


def tensors_of(upsampler, x, guide):
    """Inputs that are read, parameters and statistics, by name."""
    inputs = dict(x=x, guide=guide) if upsampler.guided else dict(x=x)
    buffers = {name: b for name, b in upsampler.named_buffers() if b.is_floating_point()}
    return {**inputs, **dict(upsampler.named_parameters()), **buffers}


def outputs_with(kind, options, channels, number):
    """For some elements of each tensor: its name, all tensors with the number in it, the output."""
    upsampler = make_upsampler(kind, channels, **options).eval()
    x, guide = make_inputs(upsampler, *SIZES, batch=1)
    for name, tensor in tensors_of(upsampler, x, guide).items():
        for element in {0, tensor.numel() // 2}:
            changed = copy.deepcopy((upsampler, x, guide))
            tensors = tensors_of(*changed)
            with torch.no_grad():
                value = tensors[name].view(-1)[element]
                value.copy_(number(value))
                yield f'{name}[{element}]', tensors, changed[2], changed[0](*changed[1:])


@parametrize_each(kind__options__channels=CASES, form=FORMS)
def test_nan_shows_wherever_it_is_read(kind, options, channels, form):
    """What a finite change of an element changes is NaN where that element is NaN."""
    skip_where_not_built(form)
    upsampler = make_upsampler(kind, channels, **options).eval()
    with sapa_ops.use_backend(form), torch.no_grad():
        clean = upsampler(*make_inputs(upsampler, *SIZES, batch=1))
        finite = outputs_with(kind, options, channels, lambda value: value + 0.01)
        broken = outputs_with(kind, options, channels, lambda value: torch.nan)
        for (name, *_, moved), (*_, out) in zip(finite, broken, strict=True):
            hidden = (moved != clean) & ~out.isnan()
            assert not hidden.any(), f'{name}: {int(hidden.sum())} of {out.numel()}'
            assert out.isnan().any(), name


@parametrize_each(kind__options__channels=CASES, number=[torch.inf, -torch.inf])
def test_infinity_in_every_form(kind, options, channels, number):
    """Both forms give the same; a number only where it is the formula's, else infinity or NaN."""
    skip_where_not_built('compiled')
    outputs = []
    for form in FORMS:
        with sapa_ops.use_backend(form):
            outputs.append(list(outputs_with(kind, options, channels, lambda _: number)))
    close = dict(equal_nan=True, atol=1e-9, rtol=1e-9)
    for (name, tensors, guide, out), (*_, other) in zip(*outputs, strict=True):
        torch.testing.assert_close(
            out, other, msg=lambda text, name=name: f'{name}: {text}', **close
        )
        if kind in ('nearest', 'bilinear', 'deconv'):  # torch's own
            continue
        expected = slow_upsampler(kind, tensors, tensors['x'], guide, **options)
        # torch's group_norm, for one, subtracts infinities where the formula multiplies by one.
        expected = torch.where(out.isnan(), out, expected)
        torch.testing.assert_close(
            out, expected, msg=lambda text, name=name: f'{name}, formula: {text}', **close
        )
