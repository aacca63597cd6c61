"""The upsamplers against their formulas written out in float64: values and all gradients."""

import copy

import pytest
import sapa_ops
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from ..support.operators import FORMS, relayout, skip_where_not_built
from ..support.pairs import in_both_tiers, parametrize_each, parametrize_pairs
from ..support.slow_upsamplers import slow_upsampler
from ..support.upsamplers import PEER_VARIANTS, keep_points_in_cells, make_inputs, make_upsampler

# (h, w), (H, W)
SIZES = [
    ((1, 1), (1, 1)),
    ((1, 1), (2, 3)),
    ((3, 4), (6, 8)),
    ((12, 2), (23, 3)),
    ((2, 7), (4, 9)),
    ((5, 3), (5, 3)),
    ((3, 2), (9, 5)),
]
SMALL = ((2, 3), (4, 5))
TOLERANCES = {
    torch.float64: 1e-10,
    torch.float32: 2e-5,
    # Embeddings, offsets and kernels are rounded, by one part in 2^11 and 2^8.
    torch.float16: 1e-2,
    torch.bfloat16: 8e-2,
}

SAPA_OPTIONS = [
    *[
        (kind, dict(kernel_size=3, similarity_norm=norm))
        for kind in ('sapa_i', 'sapa_b')
        for norm in ('softmax', 'none', 'relu', 'sigmoid', 'softplus')
    ],
    ('sapa_i', dict()),
    ('sapa_i', dict(kernel_size=3, temperature=2)),
    ('sapa_b', dict(kernel_size=3, temperature=0.5, similarity_norm='sigmoid')),
    ('sapa_d', dict(embed_dims=4, temperature=2)),
    ('sapa_b', dict()),
    ('sapa_i', dict(kernel_size=1)),
    ('sapa_b', dict(kernel_size=7, embed_dims=3)),
    ('sapa_b', dict(kernel_size=3, embed_dims=3, groups=2)),
    ('sapa_b', dict(kernel_size=3, embed_dims=2, groups=4, similarity_norm='relu')),
    *[
        ('sapa_d', dict(groups=groups, num_points=points, shared_offset=shared))
        for groups, points in ((1, 5), (2, 4), (4, 1))
        for shared in (True, False)
    ],
    ('sapa_d', dict()),
    ('sapa_d', dict(offset_init='grid', embed_dims=3)),
    ('sapa_d', dict(guided=False)),
    ('sapa_d', dict(guided=False, groups=2, num_points=3, shared_offset=True)),
    ('sapa_d', dict(guided=False, num_points=4, offset_init='grid')),
]
PEER_OPTIONS = [
    *[('deconv', dict(kernel_size=size)) for size in (1, 3, 5)],
    *[('pixel_shuffle', dict(upsample_kernel=size)) for size in (1, 3, 5)],
    ('fade', dict()),
    ('fade', dict(up_kernel=3, compressed_channels=3, gate=True)),
    ('index_net', dict(variant='m2o')),
    ('dysample', dict()),
    ('dysample', dict(dynamic_scope=True, scope_bias=True)),
    *[
        ('dysample', dict(style=style, groups=groups, dynamic_scope=scope))
        for style, groups in (('lp', 1), ('pl', 2))
        for scope in (True, False)
    ],
]
TYPICAL = [
    ('sapa_i', dict(kernel_size=3)),
    ('sapa_b', dict(kernel_size=3, embed_dims=4)),
    ('sapa_b', dict(kernel_size=3, embed_dims=2, groups=2)),
    ('sapa_d', dict(num_points=3, groups=2, embed_dims=4)),
    ('sapa_d', dict(num_points=3, groups=2, embed_dims=4, shared_offset=True)),
    ('sapa_d', dict(num_points=3, groups=2, guided=False)),
    ('deconv', dict()),
    ('pixel_shuffle', dict()),
    ('fade', dict(up_kernel=3, compressed_channels=4)),
    ('index_net', dict()),
    ('a2u', dict()),
    ('dysample', dict(groups=2)),
    *PEER_VARIANTS,
]
# The former upsample by two, the latter shuffle four channels.
ANY_SCALE = [case for case in TYPICAL[4:] if case[0] not in ('a2u', 'index_net')]
ANY_SCALE.remove(PEER_VARIANTS[-1])


def assert_follows_formula(upsampler, kind, x, guide, **options):
    """Values and gradients of x, guide and every parameter, at the tolerance of the dtype."""
    tolerance = TOLERANCES[x.dtype]
    x, guide = (t.detach().clone(memory_format=torch.preserve_format) for t in (x, guide))
    slow_x, slow_guide = (t.detach().double().requires_grad_() for t in (x, guide))
    # Batch statistics are tested separately: a single value has none.
    upsampler.train(options.get('training', False))
    params = {
        name: parameter.detach().double().requires_grad_()
        for name, parameter in upsampler.named_parameters()
    }
    buffers = {name: buffer.double() for name, buffer in upsampler.named_buffers()}

    out = upsampler(x.requires_grad_(), guide.requires_grad_())
    expected = slow_upsampler(kind, {**params, **buffers}, slow_x, slow_guide, **options)
    assert out.dtype == x.dtype
    torch.testing.assert_close(out.double(), expected, atol=tolerance, rtol=tolerance)

    seed = torch.linspace(-1, 1, expected.numel(), dtype=x.dtype).view(expected.shape)
    out.backward(seed)
    expected.backward(seed.double())
    # A parameter that a one-pixel output does not need has none.
    wanted = {
        'x': slow_x.grad,
        **{
            name: torch.zeros_like(param) if param.grad is None else param.grad
            for name, param in params.items()
        },
    }
    grads = {'x': x.grad, **{name: param.grad for name, param in upsampler.named_parameters()}}
    assert (guide.grad is None) == (slow_guide.grad is None) == (not upsampler.guided)
    if upsampler.guided:
        wanted['guide'], grads['guide'] = slow_guide.grad, guide.grad
    assert grads.keys() == wanted.keys()
    for name, expected_grad in wanted.items():
        # A gradient sums many terms; the error scales with the largest of them.
        atol = tolerance * max(1.0, expected_grad.abs().max().item())
        torch.testing.assert_close(
            grads[name].double(), expected_grad, atol=atol, rtol=tolerance,
            msg=lambda text, name=name: f'gradient of {name}: {text}',
        )  # fmt: skip
    return grads


@pytest.mark.parametrize(('kind', 'options'), SAPA_OPTIONS + PEER_OPTIONS)
def test_options(kind, options):
    upsampler = make_upsampler(kind, **options)
    assert_follows_formula(upsampler, kind, *make_inputs(upsampler, *SMALL), **options)


@parametrize_each(kind__options=TYPICAL, low__high=SIZES)
def test_sizes(kind, options, low, high):
    upsampler = make_upsampler(kind, **options)
    assert_follows_formula(upsampler, kind, *make_inputs(upsampler, low, high, 1), **options)


@in_both_tiers
def test_any_size(examples):
    """Whole strides, rounded or not, and any other ratio, each axis with its own."""

    @settings(max_examples=examples)
    @given(
        case=st.sampled_from(TYPICAL),
        pre_norm=st.booleans(),
        low=st.tuples(*2 * [st.integers(1, 5)]),
        more=st.tuples(*2 * [st.integers(0, 11)]),
        form=st.sampled_from(FORMS),
    )
    def holds(case, pre_norm, low, more, form):
        kind, options = case
        if pre_norm and kind.startswith('sapa'):
            options = dict(options, pre_norm=True)
        upsampler = make_upsampler(kind, 64 if 'pre_norm' in options else 4, **options)
        high = [side + extra for side, extra in zip(low, more, strict=True)]
        with sapa_ops.use_backend(form):
            assert_follows_formula(
                upsampler, kind, *make_inputs(upsampler, low, high, 1), **options
            )

    skip_where_not_built('compiled')
    holds()


@pytest.mark.parametrize('variant', ['hin', 'm2o'])
def test_statistics_of_the_batch(variant):
    upsampler = make_upsampler('index_net', variant=variant)
    inputs = make_inputs(upsampler, (3, 2), (5, 4))
    assert_follows_formula(upsampler, 'index_net', *inputs, variant=variant, training=True)


@pytest.mark.parametrize('kind', ['sapa_b', 'sapa_d', 'carafe', 'fade', 'index_net', 'a2u'])
def test_guide_of_other_channels(kind):
    upsampler = make_upsampler(kind, guide_channels=3)
    assert_follows_formula(upsampler, kind, *make_inputs(upsampler, *SMALL))


@pytest.mark.parametrize(
    ('kind', 'options'),
    [
        ('sapa_i', dict(kernel_size=3)),
        ('sapa_b', dict(kernel_size=3)),
        ('sapa_d', dict(num_points=4)),
        ('sapa_d', dict(num_points=4, shared_offset=True)),
        ('sapa_d', dict(num_points=4, guided=False)),
    ],
)
def test_pre_norm(kind, options):
    """Queries, keys and offsets come from normalised features, the values from x itself."""
    options = dict(options, pre_norm=True)
    # Two channels in each of the 32 groups: with one, a single position would normalise to 0.
    upsampler = make_upsampler(kind, 64, **options)
    x, guide = make_inputs(upsampler, (2, 2), (3, 4), batch=1)
    grads = assert_follows_formula(upsampler, kind, 3 * x + 1, 2 * guide - 1, **options)
    norms = {'norm_x.weight', 'norm_x.bias'}
    if upsampler.guided:
        norms |= {'norm_guide.weight', 'norm_guide.bias'}
    assert {name for name in grads if name.startswith('norm')} == norms
    assert all(grads[name].abs().max() > 1e-3 for name in norms)


@pytest.mark.parametrize('scale_factor', [1, 3])
@pytest.mark.parametrize(('kind', 'options'), ANY_SCALE)
def test_scale_factors(kind, options, scale_factor):
    upsampler = make_upsampler(kind, scale_factor=scale_factor, **options)
    inputs = make_inputs(upsampler, (2, 3), (2 * scale_factor, 3 * scale_factor + 1))
    assert_follows_formula(upsampler, kind, *inputs, scale_factor=scale_factor, **options)


@parametrize_pairs(
    kind__options=TYPICAL,
    layout=['contiguous', 'channels_last', 'sliced'],
    dtype=TOLERANCES,
    form=FORMS,
)
def test_dtypes_and_layouts(kind, options, layout, dtype, form):
    skip_where_not_built(form)
    upsampler = make_upsampler(kind, **options)
    if kind == 'sapa_d':
        keep_points_in_cells(upsampler)
    upsampler = upsampler.to(dtype)
    # With this seed no hidden value of IndexNet is close enough to a kink of ReLU6 to matter.
    x, guide = make_inputs(upsampler, *SMALL, dtype=dtype, seed=2 if kind == 'index_net' else 0)
    with sapa_ops.use_backend(form):
        inputs = relayout(x, layout), relayout(guide, layout)
        assert_follows_formula(upsampler, kind, *inputs, **options)


@pytest.mark.parametrize('dtype', [torch.float16, torch.bfloat16])
@pytest.mark.parametrize(
    ('kind', 'options'), [('sapa_b', dict()), ('sapa_d', dict()), ('sapa_d', dict(guided=False))]
)
def test_half_modules_with_pre_norm(kind, options, dtype):
    options = dict(options, pre_norm=True)
    upsampler = make_upsampler(kind, 32, **options)
    if kind == 'sapa_d':
        keep_points_in_cells(upsampler)
    upsampler = upsampler.to(dtype)
    inputs = make_inputs(upsampler, (2, 2), (4, 4), batch=1, dtype=dtype)
    assert_follows_formula(upsampler, kind, *inputs, **options)


def test_inputs_are_left_as_they_are():
    for kind, options in TYPICAL:
        upsampler = make_upsampler(kind, **options)
        inputs = make_inputs(upsampler, *SMALL)
        before = copy.deepcopy(inputs)
        upsampler(*inputs)
        assert all(map(torch.equal, inputs, before))


@pytest.mark.parametrize(('kind', 'options'), TYPICAL)
def test_empty_batch(kind, options):
    upsampler = make_upsampler(kind, **options).eval()
    x, guide = make_inputs(upsampler, *SMALL, batch=0)
    assert upsampler(x, guide).shape == (0, 4, *SMALL[1])
