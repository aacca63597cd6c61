"""Deformable attention, held against mmcv's module."""

import pytest
import torch
from torch._dynamo.testing import CompileCounterWithBackend
from torch.autograd import gradcheck

pytest.importorskip('mmseg')
pytest.importorskip('mmcv.ops')

from mmcv.ops import MultiScaleDeformableAttention as Mmcvs
from mmcv.ops import get_compiling_cuda_version
from mmcv.ops.multi_scale_deform_attn import multi_scale_deformable_attn_pytorch

from sapa_mm.depth import MultiScaleDeformableAttention, deformable_attention

SIZES = {
    'even': [(8, 12), (4, 6), (2, 3)],
    'odd': [(7, 5), (4, 3), (2, 2)],
    'single pixels': [(1, 3), (1, 2), (1, 1)],
    'larger': [(9, 14), (5, 7), (3, 4)],
}


def drawn_anew(module, dtype=torch.float64):
    """All parameters matter: the points of each query lie elsewhere, also outside of the map."""
    generator = torch.Generator().manual_seed(0)
    module = module.to(dtype)
    with torch.no_grad():
        for parameter in module.parameters():
            noise = torch.randn(parameter.shape, generator=generator, dtype=torch.float64)
            parameter.copy_(noise / (parameter.shape[-1] ** 0.5 if parameter.dim() > 1 else 1))
    return module


def make(sizes, dtype=torch.float64, **options):
    options = dict(embed_dims=16, num_heads=4, num_levels=3, num_points=2, dropout=0.0, **options)
    ours = drawn_anew(MultiScaleDeformableAttention(**options), dtype)
    generator = torch.Generator().manual_seed(1)
    pixels = sum(height * width for height, width in SIZES[sizes])
    inputs = [
        torch.randn(2, 11, 16, generator=generator, dtype=torch.float64),
        torch.randn(2, pixels, 16, generator=generator, dtype=torch.float64),
        torch.rand(2, 11, 2, generator=generator, dtype=torch.float64),
        torch.randn(2, 11, 16, generator=generator, dtype=torch.float64),
    ]
    return ours, [x.to(dtype).requires_grad_() for x in inputs]


def run(module, sizes, query, value, reference, query_pos):
    return module(query, value, reference, SIZES[sizes], query_pos)


def run_mmcv(module, sizes, query, value, reference, query_pos):
    return module(
        query,
        value=value,
        query_pos=query_pos,
        reference_points=reference[:, :, None].expand(-1, -1, 3, -1),
        spatial_shapes=torch.tensor(SIZES[sizes]),
        level_start_index=None,
    )


def mmcv_twin(ours):
    theirs = Mmcvs(
        embed_dims=16, num_heads=4, num_levels=3, num_points=2, dropout=0.0, batch_first=True
    ).double()
    theirs.load_state_dict(ours.state_dict(), strict=True)
    return theirs


@pytest.mark.parametrize('sizes', ['even', 'odd', 'single pixels'])
def test_values_and_gradients_are_mmcvs(sizes):
    ours, inputs = make(sizes)
    theirs = mmcv_twin(ours)
    ours.load_state_dict(theirs.state_dict(), strict=True)
    out, expected = run(ours, sizes, *inputs), run_mmcv(theirs, sizes, *inputs)
    torch.testing.assert_close(out, expected, rtol=1e-12, atol=1e-12)
    weight = torch.randn(out.shape, dtype=out.dtype)
    leaves = [*inputs, *ours.parameters()]
    gradients = torch.autograd.grad(out, leaves, weight)
    expected = torch.autograd.grad(expected, [*inputs, *theirs.parameters()], weight)
    for gradient, other in zip(gradients, expected, strict=True):
        torch.testing.assert_close(gradient, other, rtol=1e-10, atol=1e-10)
        assert gradient.abs().max() > 0
    with torch.no_grad():
        assert torch.equal(run(ours, sizes, *inputs), out)


@pytest.mark.parametrize('sizes', ['even', 'odd', 'single pixels'])
def test_gradcheck(sizes):
    ours, inputs = make(sizes)
    assert gradcheck(lambda *args: run(ours, sizes, *args), inputs, fast_mode=True)


@pytest.mark.parametrize('batch', [1, 2])
def test_what_mmcvs_cuda_operator_is_given(monkeypatch, batch):
    """Its own fallback takes the operator's place here, where there is no GPU."""

    def operator(value, shapes, starts, locations, weights, step):
        assert all(x.is_contiguous() for x in (value, shapes, starts, locations, weights))
        assert shapes.dtype == starts.dtype == torch.int64
        assert starts.tolist() == [0, 35, 47]
        assert step == 2  # it must divide the batch
        return multi_scale_deformable_attn_pytorch(value, shapes, locations, weights)

    ours, inputs = make('odd')
    inputs[2] = inputs[2][:batch]
    expected = run(ours, 'odd', *inputs)
    monkeypatch.setattr(deformable_attention, '_cuda_function', lambda: operator)
    monkeypatch.setattr(deformable_attention, '_attend', deformable_attention._attend_by_mmcv)
    torch.testing.assert_close(run(ours, 'odd', *inputs), expected)


def test_mmcv_built_without_cuda_is_not_asked():
    found = deformable_attention._cuda_function()
    assert (found is None) == (get_compiling_cuda_version() == 'not available')


@pytest.mark.parametrize('dtype', [torch.bfloat16, torch.float16])
def test_autocast_samples_in_float32(dtype):
    ours, inputs = make('odd', torch.float32)
    query, value, reference, query_pos = inputs
    expected = run(ours, 'odd', *inputs)
    with torch.autocast('cpu', dtype=dtype):
        # Under autocast, layers before this one return 16-bit queries and values.
        out = run(ours, 'odd', query.to(dtype), value.to(dtype), reference, query_pos)
    error = (out.float() - expected).abs().max() / expected.abs().max()
    assert error < 0.03
    gradients = torch.autograd.grad(out.float().square().sum(), [*inputs, *ours.parameters()])
    assert all(gradient.isfinite().all() for gradient in gradients)


def test_a_model_in_bfloat16():
    ours, inputs = make('odd', torch.float32)
    expected = run(ours, 'odd', *inputs)
    query, value, reference, query_pos = inputs
    low = [x.bfloat16() for x in (query, value)], [reference, query_pos.bfloat16()]
    out = run(ours.bfloat16(), 'odd', *low[0], *low[1])
    assert out.dtype == torch.bfloat16
    assert (out.float() - expected).abs().max() / expected.abs().max() < 0.03


def test_an_empty_batch():
    ours, (query, value, reference, query_pos) = make('odd')
    out = run(ours, 'odd', query[:0], value[:0], reference[:0], query_pos[:0])
    assert out.shape == (0, 11, 16)


@pytest.mark.extended
def test_compiled():
    """Once for the first sizes, once more for all others."""
    torch._dynamo.reset()
    counter = CompileCounterWithBackend('aot_eager')
    for sizes in ('odd', 'larger', 'even'):
        ours, inputs = make(sizes)
        if counter.frame_count == 0:
            module, compiled = ours, torch.compile(ours, backend=counter, fullgraph=True)
        results = []
        for run_module in (compiled, module):
            out = run(run_module, sizes, *inputs)
            results.append([out, *torch.autograd.grad(out.square().sum(), inputs)])
        for result, expected in zip(*results, strict=True):
            torch.testing.assert_close(result, expected)
    assert counter.frame_count == 2
    torch._dynamo.reset()


@pytest.mark.parametrize(
    ('options', 'message'),
    [
        (dict(embed_dims=10), 'num_heads=8 must divide embed_dims=10'),
        (dict(num_heads=0), 'num_heads must be a positive integer, got 0'),
        (dict(num_levels=2.0), r'num_levels must be a positive integer, got 2\.0'),
        (dict(num_points=-1), 'num_points must be a positive integer, got -1'),
    ],
)
def test_bad_arguments(options, message):
    with pytest.raises(ValueError, match=f'^MultiScaleDeformableAttention: {message}$'):
        MultiScaleDeformableAttention(**options)


@pytest.mark.parametrize('shapes', [[(7, 5), (4, 3)], [(7, 5), (4, 3), (2, 3)]])
def test_levels_that_do_not_fit(shapes):
    ours, inputs = make('odd')
    with pytest.raises(ValueError, match=r'spatial_shapes must be 3 levels .* of 51 pixels'):
        ours(*inputs[:3], shapes)
