"""The compiled form, beyond the values of the public functions.

``torch.ops.sapa_ops`` skips the Python checks, and has operators that the public functions use for
their gradients only.
"""

import os
import platform
import subprocess
import sys
from pathlib import Path

import pytest
import sapa_ops
import torch
from sapa_ops import compiled
from torch.utils._python_dispatch import TorchDispatchMode

from ..support.operators import (
    DEVICES,
    HALF,
    LAYOUTS,
    NONDETERMINISM,
    OPERATORS,
    TOLERANCES,
    Case,
    assert_close,
    call,
    make_inputs,
    relayout,
    skip_where_not_built,
    solve,
)
from ..support.pairs import parametrize_pairs

WINDOW = ('window_similarity', 'window_assemble', 'window_adjoint')
POINT = (
    'point_similarity',
    'point_assemble',
    'point_adjoint',
    'point_gradients',
)
DIRECT = WINDOW + POINT

UNEVEN = Case((4, 3), (7, 5), channels=10)
TINY = Case((2, 2), (3, 3), batch=1, channels=2, groups=1, kernel_size=3, points=1)
MAX = 2**63 - 1


@pytest.fixture(autouse=True)
def built(request):
    callspec = getattr(request.node, 'callspec', None)
    skip_where_not_built('compiled', callspec.params.get('device', 'cpu') if callspec else 'cpu')


def direct(operator, case, dtype=torch.float64):
    """Arguments of an operator of torch.ops.sapa_ops by name, and the oracle's results.

    All operators of a kind are derivatives of the same sum, so the oracle of assembly covers them.
    """
    known = solve('window_assemble' if operator in WINDOW else 'point_assemble', case, dtype)
    (weight, low, *offset), high = known.tensors, known.upstream
    weight_grad, low_grad, *offset_grad = known.grads
    sizes = dict(height=case.low[0], width=case.low[1])
    if operator in WINDOW:
        options = dict(kernel_size=case.kernel_size, groups=case.groups)
        return {
            'window_similarity': (dict(query=high, key=low, **options), [weight_grad]),
            'window_assemble': (dict(weight=weight, value=low, **options), [known.out]),
            'window_adjoint': (
                dict(weight=weight, high=high, **sizes, **options),
                [low_grad],
            ),
        }[operator]
    maps = dict(weight=weight, high=high, low=low, offset=offset[0])
    adjoint = dict(weight=weight, high=high, offset=offset[0], **sizes)
    return {
        'point_similarity': (
            dict(query=high, key=low, offset=offset[0], groups=case.groups),
            [weight_grad],
        ),
        'point_assemble': (dict(weight=weight, value=low, offset=offset[0]), [known.out]),
        'point_adjoint': (adjoint, [low_grad]),
        'point_gradients': (maps, [weight_grad, *offset_grad]),
    }[operator]


def run(operator, arguments):
    """The results of an operator of torch.ops.sapa_ops, always as a tuple."""
    out = getattr(torch.ops.sapa_ops, operator)(**arguments)
    return out if isinstance(out, tuple) else (out,)


def on_tensors(arguments, function):
    return {
        name: function(value) if torch.is_tensor(value) else value
        for name, value in arguments.items()
    }


def only_tensors(arguments):
    return {name: value for name, value in arguments.items() if torch.is_tensor(value)}


class Recorder(TorchDispatchMode):
    """The names of our operators that run."""

    def __init__(self):
        super().__init__()
        self.names = []

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        if func.namespace == 'sapa_ops':
            self.names.append(func._opname)
        return func(*args, **(kwargs or {}))


@pytest.mark.parametrize('device', DEVICES)
@pytest.mark.parametrize(
    ('operator', 'for_gradients'),
    [
        ('window_similarity', ['window_assemble', 'window_adjoint']),
        ('window_assemble', ['window_similarity', 'window_adjoint']),
        (
            'point_similarity',
            [
                'point_assemble',
                'point_adjoint',
                'point_gradients',
            ],
        ),
        (
            'point_assemble',
            ['point_adjoint', 'point_gradients'],
        ),
    ],
)
def test_public_functions_run_the_library(operator, for_gradients, device):
    tensors, options = make_inputs(operator, Case(), torch.float32)
    tensors = [t.to(device).requires_grad_() for t in tensors]
    assert sapa_ops.backend_for(tensors[0]).name == 'compiled'
    with Recorder() as recorder:
        out = getattr(sapa_ops, operator)(*tensors, *options)
        assert recorder.names == [operator]
        out.sum().backward()
    assert sorted(recorder.names[1:]) == sorted(for_gradients)


@pytest.mark.parametrize('device', DEVICES)
@parametrize_pairs(operator=DIRECT, layout=[*LAYOUTS, 'expanded'], dtype=TOLERANCES)
def test_against_oracle(operator, layout, dtype, device):
    constant = (0, 3) if layout == 'expanded' else ()
    case = Case((4, 3), (7, 5), channels=10, constant=constant)
    arguments, expected = direct(operator, case, dtype)
    outs = run(operator, on_tensors(arguments, lambda t: relayout(t.to(device), layout)))
    for out, wanted in zip(outs, expected, strict=True):
        assert out.dtype == dtype
        assert out.device.type == device
        assert_close(out, wanted, dtype)


# The tensors whose layout the results have. Without one they are contiguous: taps and points as
# planes, for the softmax over them.
LIKE = {
    'window_similarity': (None,),
    'window_assemble': ('value',),
    'window_adjoint': ('high',),
    'point_similarity': (None,),
    'point_assemble': ('value',),
    'point_adjoint': ('high',),
    'point_gradients': (None, 'offset'),
}


@pytest.mark.parametrize('device', DEVICES)
@pytest.mark.parametrize('dtype', TOLERANCES)
@pytest.mark.parametrize('operator', DIRECT)
def test_layouts_of_results(operator, dtype, device):
    arguments, _ = direct(operator, UNEVEN, dtype)
    for changed in (None, *only_tensors(arguments)):
        own = on_tensors(arguments, lambda t: t.to(device))
        for layout in ('channels_last', 'channel_slice', 'cropped'):
            if changed:
                own[changed] = relayout(own[changed], layout)
            for out, like in zip(run(operator, own), LIKE[operator], strict=True):
                follows = changed and changed == like and layout != 'cropped'
                wanted = torch.channels_last if follows else torch.contiguous_format
                assert out.is_contiguous(memory_format=wanted), (changed, layout)


@pytest.mark.parametrize('device', DEVICES)
@parametrize_pairs(
    operator=DIRECT, layout=['contiguous', 'channels_last'], requires_grad=[False, True]
)
def test_opcheck(operator, layout, requires_grad, device):
    arguments, _ = direct(operator, UNEVEN, torch.float32)
    arguments = on_tensors(
        arguments, lambda t: relayout(t.to(device), layout).detach().requires_grad_(requires_grad)
    )
    tests = list(torch.library._OPCHECK_DEFAULT_UTILS)
    if operator == 'point_gradients' and requires_grad:
        tests.remove('test_aot_dispatch_dynamic')  # it has no derivatives, as below
    checked = getattr(torch.ops.sapa_ops, operator).default
    torch.library.opcheck(checked, (), arguments, test_utils=tests)


@pytest.mark.parametrize('device', DEVICES)
class TestDoubleBackward:
    @pytest.mark.parametrize('operator', WINDOW)
    def test_of_windows(self, operator, device):
        arguments, _ = direct(operator, TINY)
        names = list(only_tensors(arguments))

        def function(*tensors):
            return run(operator, {**arguments, **dict(zip(names, tensors, strict=True))})

        tensors = [arguments[name].to(device).requires_grad_() for name in names]
        tolerance = NONDETERMINISM[device]
        assert torch.autograd.gradcheck(function, tensors, nondet_tol=tolerance)
        assert torch.autograd.gradgradcheck(function, tensors, nondet_tol=tolerance)

    @pytest.mark.parametrize('operator', ['point_similarity', 'point_assemble'])
    def test_of_points_that_stay(self, operator, device):
        """Second derivatives by all inputs but the offset."""
        (*maps, offset), options = make_inputs(operator, TINY)
        offset = offset.to(device).clamp(-0.8, 0.8)

        def function(*maps):
            return call(operator, 'compiled', (*maps, offset), options)

        maps = [t.to(device).requires_grad_() for t in maps]
        tolerance = NONDETERMINISM[device]
        assert torch.autograd.gradgradcheck(function, maps, nondet_tol=tolerance)

    @pytest.mark.parametrize('operator', ['point_adjoint'])
    def test_first_derivatives_of_the_adjoint(self, operator, device):
        arguments, _ = direct(operator, UNEVEN)
        names = list(only_tensors(arguments))

        def function(*tensors):
            return run(operator, {**arguments, **dict(zip(names, tensors, strict=True))})

        tensors = [arguments[name].to(device).requires_grad_() for name in names]
        tolerance = NONDETERMINISM[device]
        assert torch.autograd.gradcheck(function, tensors, fast_mode=True, nondet_tol=tolerance)

    @pytest.mark.parametrize('operator', ['point_similarity', 'point_assemble'])
    def test_by_offset_is_refused(self, operator, device):
        tensors, options = make_inputs(operator, Case())
        tensors = [t.to(device).requires_grad_() for t in tensors]
        out = call(operator, 'compiled', tensors, options)
        (grad,) = torch.autograd.grad(out.square().sum(), tensors[2], create_graph=True)
        with pytest.raises(NotImplementedError, match=r"sapa_ops\.use_backend\('eager'\)"):
            grad.sum().backward()


@pytest.mark.parametrize('device', DEVICES)
class TestAutocast:
    def inputs(self, operator, device, half):
        tensors, options = make_inputs(operator, Case((4, 3), (7, 6)), torch.float32)
        tensors[-1].copy_(tensors[-1].to(half))  # the same in every dtype
        mixed = [*tensors[:-1], tensors[-1].to(half)]
        return [t.to(device).requires_grad_() for t in mixed], options

    @pytest.mark.parametrize('half', HALF)
    @pytest.mark.parametrize('operator', OPERATORS)
    def test_called_directly(self, operator, half, device):
        """As the public functions."""
        tensors, options = self.inputs(operator, device, half)
        results = []
        for module in (sapa_ops, torch.ops.sapa_ops):
            with torch.autocast(device, half):
                out = getattr(module, operator)(*tensors, *options)
            results.append((out, *torch.autograd.grad(out.sum(), tensors)))
        for public, own in zip(*results, strict=True):
            assert own.dtype == public.dtype
            assert_same(own, public, device)

    @parametrize_pairs(operator=OPERATORS, half=HALF, form=['public', 'direct'])
    def test_backward_within(self, operator, half, device, form):
        """What is computed in float32 stays float32 if backward runs under autocast."""
        tensors, options = self.inputs(operator, device, half)
        module = sapa_ops if form == 'public' else torch.ops.sapa_ops
        grads = []
        for within in (False, True):
            with torch.autocast(device, half):
                out = getattr(module, operator)(*tensors, *options)
                upstream = torch.linspace(-1, 1, out.numel(), device=device).view(out.shape)
                upstream = upstream.to(out.dtype)
            with torch.autocast(device, half, enabled=within):
                grads.append(torch.autograd.grad(out, tensors, upstream))
        for outside, inside in zip(*grads, strict=True):
            assert inside.dtype == outside.dtype
            assert_same(inside, outside, device)


def assert_same(actual, expected, device):
    """Bit by bit on the CPU; on a GPU, threads add in no fixed order."""
    if device == 'cpu':
        assert torch.equal(actual, expected)
    else:
        torch.testing.assert_close(actual, expected)


# Errors that any tensor may have.
BAD_TENSORS = {
    'no dimensions': lambda t: t.sum(),
    'one dimension': lambda t: t.flatten(),
    'fewer dimensions': lambda t: t[0],
    'more dimensions': lambda t: t[None],
    'smaller batch': lambda t: t[:1],
    'empty batch': lambda t: t[:0],
    'fewer channels': lambda t: t[:, 1:],
    'no channels': lambda t: t[:, :0],
    'no rows': lambda t: t[..., :0, :],
    'no columns': lambda t: t[..., :0],
    'other dtype': lambda t: t.double(),
    'half': lambda t: t.half(),
    'integers': lambda t: t.int(),
    'float8': lambda t: t.to(torch.float8_e4m3fn),
    'sparse': lambda t: t.to_sparse(),
    'other device': lambda t: t.to('meta'),
}
BAD_OPTIONS = {
    'kernel_size': [2, 0, -1, -3, 2**32 + 1, MAX - 2, MAX],
    'groups': [0, -1, -2, 3, 4, 2**60, 2**62, MAX],
    'height': [0, -1, 8, 2**31, 2**62],
    'width': [0, -1, 6, 2**31, 2**62],
}
# From the library (ValueError, TypeError) or from torch, on the way to it or to memory.
ERRORS = (ValueError, TypeError, RuntimeError, MemoryError)


@pytest.mark.parametrize('device', DEVICES)
class TestMisuse:
    """The library raises and does not crash; no Python check comes before it."""

    def valid(self, operator, device, requires_grad=False):
        arguments, _ = direct(operator, UNEVEN, torch.float32)
        own = on_tensors(arguments, lambda t: t.clone().to(device).requires_grad_(requires_grad))
        run(operator, own)
        return own

    def refuses(self, operator, bad, what):
        try:
            run(operator, bad)
        except ERRORS:
            return
        pytest.fail(f'{what} is taken')

    @parametrize_pairs(operator=DIRECT, how=BAD_TENSORS, requires_grad=[False, True])
    def test_one_tensor(self, operator, device, how, requires_grad):
        valid = self.valid(operator, device, requires_grad)
        for name, tensor in only_tensors(valid).items():
            self.refuses(operator, {**valid, name: BAD_TENSORS[how](tensor)}, f'{name}: {how}')

    @pytest.mark.parametrize(
        'dtype', [torch.int32, torch.bool, torch.float8_e4m3fn, torch.complex64], ids=str
    )
    @pytest.mark.parametrize('operator', DIRECT)
    def test_dtype_of_all(self, operator, device, dtype):
        valid = self.valid(operator, device)
        with pytest.raises(TypeError, match='no kernel for'):
            run(operator, on_tensors(valid, lambda t: t.to(dtype)))

    @pytest.mark.parametrize('operator', DIRECT)
    def test_sizes_of_maps(self, operator, device):
        """A high-res map smaller than the low-res one."""
        valid = self.valid(operator, device)
        for name, tensor in only_tensors(valid).items():
            is_low = name in ('key', 'value', 'low')
            bad = tensor.repeat(1, 1, 2, 2) if is_low else tensor[..., :2]
            with pytest.raises(ValueError, match='must'):
                run(operator, {**valid, name: bad})

    @pytest.mark.parametrize('operator', DIRECT)
    def test_options(self, operator, device):
        valid = self.valid(operator, device)
        for name in valid.keys() & BAD_OPTIONS:
            for value in BAD_OPTIONS[name]:
                self.refuses(operator, {**valid, name: value}, f'{name}={value}')

    @pytest.mark.parametrize('operator', DIRECT)
    def test_no_channels_at_all(self, operator, device):
        valid = self.valid(operator, device)
        maps = ('query', 'key', 'value', 'low', 'high')
        bad = {name: t[:, :0] if name in maps else t for name, t in valid.items()}
        with pytest.raises(ValueError, match='do not split into groups'):
            run(operator, bad)


def test_kernel_size_whose_square_overflows():
    """K*K is 1 in 64 bits, which matches the single tap of the weight."""
    weight, value = torch.rand(1, 1, 4, 4), torch.rand(1, 2, 2, 2)
    with pytest.raises(ERRORS):
        torch.ops.sapa_ops.window_assemble(weight, value, MAX)


class TestThreads:
    """The number of threads does not change a bit of the results."""

    CASE = Case((13, 17), (25, 34), channels=134, points=5)

    def results(self, operator, layout, dtype, threads):
        before = torch.get_num_threads()
        torch.set_num_threads(threads)
        try:
            assert torch.get_num_threads() == threads
            tensors, options = make_inputs(operator, self.CASE, dtype)
            tensors = [relayout(t, layout).requires_grad_() for t in tensors]
            out = call(operator, 'compiled', tensors, options)
            upstream = torch.linspace(-1, 1, out.numel()).view(out.shape).to(dtype)
            return out, *torch.autograd.grad(out, tensors, upstream)
        finally:
            torch.set_num_threads(before)

    @parametrize_pairs(operator=OPERATORS, layout=['contiguous', 'channels_last'], dtype=TOLERANCES)
    def test_same_results(self, operator, layout, dtype):
        expected = self.results(operator, layout, dtype, 1)
        for threads in (2, 3, 7):
            for one, several in zip(
                expected, self.results(operator, layout, dtype, threads), strict=True
            ):
                assert torch.equal(one, several)


class TestCpuCapability:
    """SAPA_OPS_CPU_CAPABILITY chooses among the machine's instruction sets."""

    ALL = ('baseline', 'avx2', 'avx512')
    # What torch detects on this machine, unless ATEN_CPU_CAPABILITY overrides it.
    BEST = {'AVX2': 'avx2', 'AVX512': 'avx512'}.get(
        torch.backends.cpu.get_cpu_capability(), 'baseline'
    )
    AVAILABLE = ALL[: ALL.index(BEST) + 1] if platform.machine() in ('x86_64', 'AMD64') else ALL[:1]

    SCRIPT = """
import sys, torch
from tests.support.operators import OPERATORS, Case, assert_matches_oracle

capability, with_cases = sys.argv[1:]
chosen = torch.ops.sapa_ops.cpu_capability()
assert chosen == capability, f'{chosen} runs, not {capability}'
cases = [
    Case((1, 17), (2, 34), batch=1, channels=18),
    Case((1, 2), (2, 3), channels=67, groups=1),
    Case((2, 3), (4, 7), batch=1, channels=4, kernel_size=5),
    Case((2, 3), (3, 5), batch=1, channels=38, strays=((0, 'nan'), (1, 'inf'), (2, 'nan'))),
]
for case in cases if with_cases == 'True' else []:
    for operator in OPERATORS:
        for dtype in (torch.float32, torch.float64, torch.bfloat16):
            for layout in ('contiguous', 'channels_last'):
                assert_matches_oracle(operator, 'compiled', case, dtype, 'cpu', (layout,) * 4)
"""

    @pytest.mark.parametrize(
        'asked',
        [
            'baseline',
            'avx2',
            # What runs in all other tests, where the machine has it.
            pytest.param('avx512', marks=pytest.mark.extended),
            pytest.param('AVX2', marks=pytest.mark.extended),
            pytest.param('', marks=pytest.mark.extended),
            pytest.param(None, marks=pytest.mark.extended),
        ],
    )
    def test_choice(self, asked):
        chosen = asked if asked in self.AVAILABLE else self.AVAILABLE[-1]
        environment = {**os.environ, 'SAPA_OPS_CPU_CAPABILITY': asked or ''}
        if asked is None:
            del environment['SAPA_OPS_CPU_CAPABILITY']
        result = subprocess.run(
            [sys.executable, '-c', self.SCRIPT, chosen, str(asked in self.AVAILABLE)],
            cwd=Path(__file__).parents[2],
            env=environment,
            capture_output=True,
            text=True,
        )
        assert result.returncode == 0, result.stderr


def test_a_library_of_other_sources_is_refused(monkeypatch):
    """It would compute something else than the eager form, without a word."""
    assert compiled._load() is None
    monkeypatch.setattr(compiled, '_REVISION', compiled._REVISION + 1)
    assert compiled._load().endswith('was built from other sources of sapa_ops, build it again')


def test_other_devices_are_refused_with_a_reason():
    tensor = torch.zeros(1, 1, 1, 1, device='meta')
    assert compiled.why_not(tensor) == 'it has kernels for cpu and cuda only, the tensor is on meta'
    assert compiled.why_not(torch.zeros(1, dtype=torch.int32)) == 'it has no kernel for torch.int32'


@pytest.mark.parametrize('device', DEVICES)
@pytest.mark.parametrize('half', HALF)
def test_results_round_to_nearest_ties_to_even(half, device):
    """As torch rounds: a window of one tap is a product, and many products are ties."""
    steps = torch.arange(1024, device=device) / 1024
    weight = (1 + steps).to(half).view(1, 1, 32, 32)
    value = torch.tensor([1.5, 1.25, -1.125, 2**-15, -(2**-24), 30000.0], device=device).to(half)
    value = value.view(1, -1, 1, 1).expand(1, -1, 32, 32)
    out = call('window_assemble', 'compiled', (weight, value), (1,))
    assert torch.equal(out, (weight.float() * value.float()).to(half))
