"""``torch.ops.sapa_ops``, which exists whatever was built, in every form.

It skips the checks of the public functions, and has operators that these use for gradients only.
"""

from dataclasses import replace

import pytest
import sapa_ops
import torch
from sapa_ops import compiled

from ..support.operators import (
    DEVICES,
    DIRECT,
    FORMS,
    HALF,
    LAYOUTS,
    OPERATORS,
    POINT,
    TOLERANCES,
    WINDOW,
    Case,
    Recorder,
    assert_close,
    direct,
    make_inputs,
    on_tensors,
    only_tensors,
    relayout,
    run_direct,
    skip_where_not_built,
)
from ..support.pairs import parametrize_pairs

UNEVEN = Case((4, 3), (7, 5), channels=10)
MAX = 2**63 - 1


@pytest.fixture(autouse=True)
def in_form(request):
    chosen = request.node.callspec.params if hasattr(request.node, 'callspec') else {}
    form = chosen.get('form', 'compiled')
    skip_where_not_built(form, chosen.get('device', 'cpu'))
    with sapa_ops.use_backend(form):
        yield


@pytest.mark.parametrize('device', DEVICES)
@pytest.mark.parametrize(
    ('operator', 'for_gradients'),
    [
        ('window_similarity', ['window_assemble', 'window_adjoint']),
        ('window_assemble', ['window_similarity', 'window_adjoint']),
        ('point_similarity', ['point_assemble', 'point_adjoint', 'point_gradients']),
        ('point_assemble', ['point_adjoint', 'point_gradients']),
    ],
)
@pytest.mark.parametrize('form', FORMS)
def test_public_functions_run_one_operator(operator, for_gradients, form, device):
    tensors, options = make_inputs(operator, Case(), torch.float32)
    tensors = [t.to(device).requires_grad_() for t in tensors]
    with Recorder() as recorder:
        out = getattr(sapa_ops, operator)(*tensors, *options)
        assert recorder.names == [operator]
        out.sum().backward()
    assert sorted(recorder.names[1:]) == sorted(for_gradients)


@pytest.mark.parametrize('device', DEVICES)
@parametrize_pairs(
    product=False,
    operator=DIRECT,
    form=FORMS,
    layout=[*LAYOUTS, 'expanded'],
    dtype=TOLERANCES,
)
def test_against_oracle(operator, form, layout, dtype, device):
    constant = (0, 3) if layout == 'expanded' else ()
    case = Case((4, 3), (7, 5), channels=10, constant=constant)
    arguments, expected = direct(operator, case, dtype)
    outs = run_direct(operator, on_tensors(arguments, lambda t: relayout(t.to(device), layout)))
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
@parametrize_pairs(operator=DIRECT, form=FORMS, dtype=TOLERANCES)
def test_layouts_of_results(operator, form, dtype, device):
    arguments, _ = direct(operator, UNEVEN, dtype)
    for changed in (None, *only_tensors(arguments)):
        own = on_tensors(arguments, lambda t: t.to(device))
        for layout in ('channels_last', 'channel_slice', 'cropped'):
            if changed:
                own[changed] = relayout(own[changed], layout)
            for out, like in zip(run_direct(operator, own), LIKE[operator], strict=True):
                follows = changed and changed == like and layout != 'cropped'
                wanted = torch.channels_last if follows else torch.contiguous_format
                assert out.is_contiguous(memory_format=wanted), (changed, layout)


@pytest.mark.parametrize('device', DEVICES)
@parametrize_pairs(
    operator=DIRECT, layout=['contiguous', 'channels_last'], requires_grad=[False, True]
)
def test_opcheck(operator, layout, requires_grad, device):
    case = replace(UNEVEN, border='shift' if requires_grad else 'replicate')
    arguments, _ = direct(operator, case, torch.float32)
    if operator.endswith('similarity'):
        arguments['softmax'] = requires_grad
    arguments = on_tensors(
        arguments, lambda t: relayout(t.to(device), layout).detach().requires_grad_(requires_grad)
    )
    torch.library.opcheck(getattr(torch.ops.sapa_ops, operator).default, (), arguments)


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

    @parametrize_pairs(operator=OPERATORS, half=HALF, form=FORMS, public=[True, False])
    def test_backward_within(self, operator, half, form, device, public):
        """What is computed in float32 stays float32 if backward runs under autocast."""
        tensors, options = self.inputs(operator, device, half)
        module = sapa_ops if public else torch.ops.sapa_ops
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


@pytest.mark.parametrize('device', DEVICES)
@parametrize_pairs(operator=POINT, form=FORMS, dtype=TOLERANCES)
def test_points_outside_are_not_read(operator, form, dtype, device):
    """Whatever the maps hold: all results are 0."""
    arguments, _ = direct(operator, UNEVEN, dtype)
    arguments = on_tensors(arguments, lambda t: torch.full_like(t, torch.nan, device=device))
    arguments['offset'].fill_(-100)
    assert not any(out.any() for out in run_direct(operator, arguments))


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
    'border': ['', 'zero', 'reflect'],
}
# From the library (ValueError, TypeError) or from torch, on the way to it or to memory.
ERRORS = (ValueError, TypeError, RuntimeError, MemoryError)


@pytest.mark.parametrize('device', DEVICES)
class TestMisuse:
    """Direct calls raise and do not crash, those of the C++ kernels too."""

    def valid(self, operator, device, requires_grad=False):
        arguments, _ = direct(operator, UNEVEN, torch.float32)
        return on_tensors(arguments, lambda t: t.clone().to(device).requires_grad_(requires_grad))

    def refuses(self, operator, bad, what, match=None):
        built = compiled.why_not(torch.zeros(1)) is None
        for namespace in ('sapa_ops', compiled.NAMESPACE)[: 1 + built]:
            print(namespace, what)
            with pytest.raises(ERRORS, match=match):
                run_direct(operator, bad, namespace)

    @parametrize_pairs(
        product=False,
        operator=DIRECT,
        form=FORMS,
        how=BAD_TENSORS,
        requires_grad=[False, True],
    )
    def test_one_tensor(self, operator, form, device, how, requires_grad):
        valid = self.valid(operator, device, requires_grad)
        for name, tensor in only_tensors(valid).items():
            self.refuses(operator, {**valid, name: BAD_TENSORS[how](tensor)}, f'{name}: {how}')

    @parametrize_pairs(
        operator=DIRECT,
        form=FORMS,
        dtype=[torch.int32, torch.bool, torch.float8_e4m3fn, torch.complex64],
    )
    def test_dtype_of_all(self, operator, form, device, dtype):
        bad = on_tensors(self.valid(operator, device), lambda t: t.to(dtype))
        self.refuses(operator, bad, dtype)

    @parametrize_pairs(operator=DIRECT, form=FORMS)
    def test_sizes_of_maps(self, operator, form, device):
        """A high-res map smaller than the low-res one."""
        valid = self.valid(operator, device)
        for name, tensor in only_tensors(valid).items():
            is_low = name in ('key', 'value', 'low')
            bad = tensor.repeat(1, 1, 2, 2) if is_low else tensor[..., :2]
            self.refuses(operator, {**valid, name: bad}, name, 'must')

    @parametrize_pairs(operator=DIRECT, form=FORMS)
    def test_options(self, operator, form, device):
        valid = self.valid(operator, device)
        for name in valid.keys() & BAD_OPTIONS:
            for value in BAD_OPTIONS[name]:
                self.refuses(operator, {**valid, name: value}, f'{name}={value}')

    @parametrize_pairs(operator=WINDOW, form=FORMS)
    def test_no_room_for_a_shifted_window(self, operator, form, device):
        arguments, _ = direct(operator, Case((4, 2), (7, 5)), torch.float32)
        bad = {**on_tensors(arguments, lambda t: t.to(device)), 'border': 'shift'}
        self.refuses(operator, bad, 'shift', 'no smaller than kernel_size=3')

    @parametrize_pairs(operator=DIRECT, form=FORMS)
    def test_no_channels_at_all(self, operator, form, device):
        maps = ('query', 'key', 'value', 'low', 'high')
        valid = self.valid(operator, device)
        bad = {name: t[:, :0] if name in maps else t for name, t in valid.items()}
        self.refuses(
            operator, bad, 'nothing', 'do not split into groups|only the batch may be empty'
        )

    def test_kernel_size_whose_square_overflows(self, device):
        """K*K is 1 in 64 bits, which matches the single tap of the weight."""
        weight, value = torch.rand(1, 1, 4, 4), torch.rand(1, 2, 2, 2)
        bad = dict(weight=weight.to(device), value=value.to(device), kernel_size=MAX)
        self.refuses('window_assemble', bad, MAX)


@pytest.mark.parametrize('transform', ['grad', 'jvp', 'vjp', 'jacrev', 'vmap of grad'])
@pytest.mark.parametrize('operator', OPERATORS)
def test_transforms_of_direct_calls_are_refused(operator, transform):
    """The public functions can be transformed; here a tangent would be lost."""
    (first, *tensors), options = make_inputs(operator, Case())

    def function(first):
        return getattr(torch.ops.sapa_ops, operator)(first, *tensors, *options).sum()

    apply = {
        'grad': lambda: torch.func.grad(function)(first),
        'jvp': lambda: torch.func.jvp(function, (first,), (first,)),
        'vjp': lambda: torch.func.vjp(function, first),
        'jacrev': lambda: torch.func.jacrev(function)(first),
        'vmap of grad': lambda: torch.func.vmap(torch.func.grad(function))(first[None]),
    }[transform]
    with pytest.raises(RuntimeError, match=f'{operator} cannot be transformed by torch.func'):
        apply()
