"""The forms of the operators against the float64 oracle."""

import subprocess
import sys

import pytest
import sapa_ops
import torch
from sapa_ops import eager, reference

from .cases import OPERATORS, SIZES, TOLERANCES, Case, make_inputs, relayout

FORMS = ('eager', 'compiled')


def call(operator, form, tensors, options):
    with sapa_ops.use_backend(form):
        return getattr(sapa_ops, operator)(*tensors, *options)


def assert_matches_oracle(operator, form, tensors, options):
    """Values and gradients against the oracle, at the tolerance of the dtype."""
    dtype = tensors[0].dtype
    tolerance = TOLERANCES[dtype]
    tensors = [t.detach().requires_grad_() for t in tensors]
    oracle_tensors = [t.detach().double().requires_grad_() for t in tensors]

    out = call(operator, form, tensors, options)
    expected = getattr(reference, operator)(*oracle_tensors, *options)
    assert out.dtype == dtype
    torch.testing.assert_close(out.double(), expected, atol=tolerance, rtol=tolerance)

    seed = torch.linspace(-1, 1, expected.numel(), dtype=dtype).view(expected.shape)
    grads = torch.autograd.grad(out, tensors, seed)
    expected_grads = torch.autograd.grad(expected, oracle_tensors, seed.double())
    for grad, wanted in zip(grads, expected_grads, strict=True):
        assert grad.dtype == dtype
        # A gradient sums many terms; the error scales with the largest of them.
        atol = tolerance * max(1.0, wanted.abs().max().item() if wanted.numel() else 1.0)
        torch.testing.assert_close(grad.double(), wanted, atol=atol, rtol=tolerance)


@pytest.mark.parametrize('form', FORMS)
@pytest.mark.parametrize('operator', OPERATORS)
class TestAgainstOracle:
    @pytest.mark.parametrize(('low', 'high'), SIZES)
    def test_sizes(self, operator, form, low, high):
        tensors, options = make_inputs(operator, Case(low, high, batch=1))
        assert_matches_oracle(operator, form, tensors, options)

    @pytest.mark.parametrize('dtype', TOLERANCES)
    @pytest.mark.parametrize('seed', range(3))
    def test_dtypes(self, operator, form, dtype, seed):
        tensors, options = make_inputs(operator, Case((4, 3), (7, 6), seed=seed), dtype)
        assert_matches_oracle(operator, form, tensors, options)

    @pytest.mark.parametrize('layout', ['contiguous', 'channels_last', 'sliced', 'expanded'])
    def test_layouts(self, operator, form, layout):
        tensors, options = make_inputs(operator, Case((4, 3), (8, 6)), torch.float32)
        tensors = [relayout(t, layout) for t in tensors]
        assert_matches_oracle(operator, form, tensors, options)

    @pytest.mark.parametrize('batch', [0, 1, 3])
    def test_batch(self, operator, form, batch):
        tensors, options = make_inputs(operator, Case((2, 3), (4, 5), batch=batch))
        if batch:
            assert_matches_oracle(operator, form, tensors, options)
        else:
            out = call(operator, form, tensors, options)
            assert out.shape == getattr(reference, operator)(*tensors, *options).shape

    def test_gradcheck(self, operator, form):
        tensors, options = make_inputs(operator, Case((2, 3), (3, 5), batch=1, points=2))
        tensors = [t.requires_grad_() for t in tensors]
        assert torch.autograd.gradcheck(lambda *t: call(operator, form, t, options), tensors)


@pytest.mark.parametrize('form', FORMS)
@pytest.mark.parametrize('kernel_size', [1, 3, 5, 7, 9])
@pytest.mark.parametrize('operator', ['window_similarity', 'window_assemble'])
def test_kernel_sizes(operator, form, kernel_size):
    case = Case((3, 4), (5, 8), batch=1, kernel_size=kernel_size)
    assert_matches_oracle(operator, form, *make_inputs(operator, case))


@pytest.mark.parametrize('form', FORMS)
@pytest.mark.parametrize(('channels', 'groups'), [(1, 1), (3, 1), (3, 3), (10, 5), (17, 1)])
@pytest.mark.parametrize('operator', OPERATORS)
def test_groups(operator, form, channels, groups):
    case = Case((2, 3), (4, 5), channels=channels, groups=groups, batch=1)
    assert_matches_oracle(operator, form, *make_inputs(operator, case))


@pytest.mark.parametrize('form', FORMS)
@pytest.mark.parametrize('operator', ['point_similarity', 'point_assemble'])
def test_points_on_borders(operator, form):
    """Integer, border and far positions; zero from -1 and from the size on."""
    low, high = (3, 4), (6, 8)
    tensors, options = make_inputs(operator, Case(low, high, batch=1, groups=1, points=8))
    offset = tensors[2]
    targets = torch.tensor([-1e30, -1.0, -0.5, 0.0, 1.0, 2.0, 2.5, 3.0], dtype=offset.dtype)
    for point, target in enumerate(targets):
        for channel, (size, high_size) in enumerate(((low[1], high[1]), (low[0], high[0]))):
            index = (torch.arange(high_size) * size) // high_size
            index = index[None, :] if channel == 0 else index[:, None]
            offset[0, 2 * point + channel] = target - index
    assert_matches_oracle(operator, form, tensors, options)
    out = call(operator, form, tensors, options)
    if operator == 'point_similarity':
        assert out[:, :, :2].abs().max() == 0
        assert out[:, :, 7].abs().max() == 0
        assert out[:, :, 3].abs().max() > 0


def test_non_finite_offsets_sample_zero():
    (query, key, offset), options = make_inputs('point_similarity', Case())
    for value in (torch.inf, -torch.inf, torch.nan):
        out = sapa_ops.point_similarity(query, key, torch.full_like(offset, value), *options)
        assert out.abs().max() == 0


@pytest.mark.parametrize('operator', OPERATORS)
def test_eager_double_backward(operator):
    case = Case((2, 2), (3, 4), batch=1, channels=2, groups=1, points=2)
    tensors, options = make_inputs(operator, case)
    tensors = [t.requires_grad_() for t in tensors]
    assert torch.autograd.gradgradcheck(
        lambda *t: call(operator, 'eager', t, options), tensors, atol=1e-6
    )


def test_window_taps_run_by_row_then_column():
    key = torch.arange(9.0).view(1, 1, 3, 3)
    logits = sapa_ops.window_similarity(torch.ones(1, 1, 3, 3), key, 3)
    assert logits[0, :, 1, 1].tolist() == list(range(9))
    assert logits[0, :, 0, 0].tolist() == [0, 0, 0, 0, 0, 1, 0, 3, 4]


@pytest.mark.parametrize('operator', OPERATORS)
def test_autocast_accepts_mixed_dtypes(operator):
    tensors, options = make_inputs(operator, Case(), torch.float32)
    mixed = [tensors[0].bfloat16(), *tensors[1:]]
    with torch.autocast('cpu', torch.bfloat16):
        out = getattr(sapa_ops, operator)(*mixed, *options)
    similarity = operator.endswith('similarity')
    assert out.dtype == (torch.float32 if similarity else torch.bfloat16)
    rounded = [t.bfloat16().double() for t in tensors]
    expected = getattr(reference, operator)(*rounded, *options)
    torch.testing.assert_close(out.double(), expected, atol=1.6e-2, rtol=1.6e-2)
    with pytest.raises(TypeError, match='dtypes must agree'):
        getattr(sapa_ops, operator)(*mixed, *options)


@pytest.mark.parametrize('operator', OPERATORS)
def test_torch_compile_and_export(operator):
    tensors, options = make_inputs(operator, Case((4, 3), (7, 6)), torch.float32)

    class Module(torch.nn.Module):
        def forward(self, *inputs):
            return getattr(sapa_ops, operator)(*inputs, *options)

    module = Module()
    expected = module(*tensors)
    compiled = torch.compile(module, fullgraph=True, backend='aot_eager')
    torch.testing.assert_close(compiled(*tensors), expected)
    exported = torch.export.export(module, tuple(tensors))
    torch.testing.assert_close(exported.module()(*tensors), expected)


@pytest.mark.parametrize('operator', ['point_similarity', 'point_assemble'])
def test_recomputing_in_chunks_changes_nothing(operator, monkeypatch):
    """The path of large maps, taken for a small one."""
    monkeypatch.setattr(eager, '_CHUNK_ELEMENTS', 50)
    monkeypatch.setattr(eager, '_MAX_KEPT_ELEMENTS', 0)
    tensors, options = make_inputs(operator, Case((2, 3), (4, 5)))
    assert_matches_oracle(operator, 'eager', tensors, options)
    tensors = [t.requires_grad_() for t in tensors]
    assert torch.autograd.gradgradcheck(
        lambda *t: call(operator, 'eager', t, options), tensors, atol=1e-6
    )


@pytest.mark.parametrize('kind', ['window', 'point'])
@pytest.mark.parametrize('train', [False, True])
def test_eager_memory_on_a_large_map(kind, train):
    """256×120×120 upsampled by two: the output takes 56 MB, unfolded windows take 20 times that."""
    script = f"""
import resource, torch, sapa_ops

def peak():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024

def rand(channels, size):
    return torch.rand(1, channels, size, size, requires_grad={train})

value = rand(256, 120)
window = '{kind}' == 'window'
d = 32 if window else 128
inputs = (rand(d, 240), rand(d, 120)) + (() if window else (rand(72, 240),))
before = peak()
with sapa_ops.use_backend('eager'):
    if window:
        weight = sapa_ops.window_similarity(*inputs, 5).softmax(1)
        out = sapa_ops.window_assemble(weight, value, 5)
    else:
        weight = sapa_ops.point_similarity(*inputs, 4).softmax(2)
        out = sapa_ops.point_assemble(weight, value, inputs[2])
    if {train}:
        out.sum().backward()
print(peak() - before)
"""
    result = subprocess.run([sys.executable, '-c', script], capture_output=True, text=True)
    assert result.returncode == 0, result.stderr
    assert float(result.stdout) < (1000 if train else 500)
