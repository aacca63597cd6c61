"""torch.compile, torch.export and torch.jit.trace see one graph, compiled operators as one node."""

import shutil
from dataclasses import replace

import pytest
import sapa_ops
import torch
from sapa_ops.checks import BORDERS
from torch._dynamo.testing import CompileCounterWithBackend
from torch.export import Dim

from ..support.operators import (
    DEVICES,
    FORMS,
    OPERATORS,
    SIZES,
    Case,
    make_inputs,
    relayout,
    skip_where_not_built,
    with_room,
)
from ..support.pairs import parametrize_each, parametrize_pairs

LAYOUTS = ('contiguous', 'channels_last')

# No two dimensions have the same size, or the compiler would identify them.
CASE = Case((4, 6), (7, 11), batch=5, channels=22)
OTHERS = [replace(CASE, low=(5, 4), high=(9, 11)), replace(CASE, low=(3, 7), high=(9, 20))]


class Module(torch.nn.Module):
    """An operator with its options."""

    def __init__(self, operator, options):
        super().__init__()
        self.operator = operator
        self.options = options

    def forward(self, *tensors):
        return getattr(sapa_ops, self.operator)(*tensors, *self.options)


class Pipeline(torch.nn.Module):
    """SAPA's use of the operators."""

    def forward(self, query, key, value, offset):
        weight = sapa_ops.window_similarity(query, key, 3).softmax(1)
        out = sapa_ops.window_assemble(weight, value, 3)
        weight = sapa_ops.point_similarity(out * query, key, offset, 2).softmax(2)
        return sapa_ops.point_assemble(weight, value, offset)


@pytest.fixture(autouse=True)
def reset():
    torch._dynamo.reset()
    yield
    torch._dynamo.reset()


@pytest.fixture
def in_form(form, device):
    skip_where_not_built(form, device)
    with sapa_ops.use_backend(form):
        yield


def make(operator, case=CASE, device='cpu', layout='contiguous'):
    """The operator as a module, and inputs that require gradients."""
    tensors, options = make_inputs(operator, case, torch.float32)
    tensors = [relayout(t.to(device), layout).detach().requires_grad_() for t in tensors]
    return Module(operator, options), tensors


def results(function, tensors):
    """Output and gradients."""
    out = function(*tensors)
    upstream = torch.linspace(-1, 1, out.numel(), device=out.device).view(out.shape)
    return out, *torch.autograd.grad(out, tensors, upstream.to(out.dtype))


def assert_same(actual, expected):
    """Values, and the layout of the output. (The compiler may change that of gradients.)"""
    torch.testing.assert_close(actual, expected)
    assert actual[0].stride() == expected[0].stride()


@pytest.mark.usefixtures('in_form')
@pytest.mark.parametrize('device', DEVICES)
@parametrize_each(operator=OPERATORS, form=FORMS, layout=LAYOUTS)
def test_compile(operator, form, layout, device):
    module, tensors = make(operator, device=device, layout=layout)
    optimised = torch.compile(module, fullgraph=True, backend='aot_eager')
    assert_same(results(optimised, tensors), results(module, tensors))


@pytest.mark.parametrize('device', DEVICES)
@parametrize_each(operator=OPERATORS, layout=LAYOUTS)
def test_compile_for_any_size(operator, layout, device):
    """One graph serves all sizes, the first one and later ones."""
    skip_where_not_built('compiled', device)
    backend = CompileCounterWithBackend('aot_eager')
    module, _ = make(operator)
    optimised = torch.compile(module, fullgraph=True, backend=backend, dynamic=True)
    for case in (CASE, *OTHERS, replace(CASE, batch=4)):
        _, tensors = make(operator, case, device, layout)
        assert_same(results(optimised, tensors), results(module, tensors))
    assert backend.frame_count == 1


@pytest.mark.usefixtures('in_form')
@pytest.mark.parametrize('device', DEVICES)
@parametrize_each(operator=OPERATORS, form=FORMS)
def test_compiled_autograd(operator, form, device):
    """It makes a graph of backward, in which the gradients are operators, too; none is cast."""
    module, tensors = make(operator, device=device)
    _, *expected = results(module, tensors)
    out = module(*tensors)
    upstream = torch.linspace(-1, 1, out.numel(), device=device).view(out.shape)
    whole = torch.compile(backend='aot_eager', fullgraph=True)
    with torch._dynamo.compiled_autograd._enable(whole), torch.autocast(device, torch.bfloat16):
        out.backward(upstream)
    torch.testing.assert_close([t.grad for t in tensors], expected)


@pytest.mark.usefixtures('in_form')
@pytest.mark.parametrize('device', DEVICES)
@parametrize_each(operator=OPERATORS, form=FORMS)
def test_transforms_of_compiled_functions(operator, form, device):
    """torch runs the function without its graph then, and shall not trace what makes gradients."""
    module, tensors = make(operator, device=device)
    tensors = [t.detach() for t in tensors]

    def gradients(function):
        return torch.func.grad(lambda *t: function(*t).square().sum())(*tensors)

    optimised = torch.compile(module, backend='aot_eager')
    torch.testing.assert_close(gradients(optimised), gradients(module))


@pytest.mark.usefixtures('in_form')
@pytest.mark.parametrize('device', DEVICES)
@parametrize_each(operator=OPERATORS, form=FORMS)
def test_compile_under_autocast(operator, form, device):
    module, (first, *rest) = make(operator, device=device)
    tensors = [first.detach().bfloat16().requires_grad_(), *rest]
    optimised = torch.compile(module, fullgraph=True, backend='aot_eager')
    with torch.autocast(device, torch.bfloat16):
        out, expected = optimised(*tensors), module(*tensors)
    assert out.dtype == expected.dtype
    torch.testing.assert_close(
        results(lambda *_: out, tensors), results(lambda *_: expected, tensors)
    )


@pytest.mark.skipif(shutil.which('c++') is None, reason='inductor needs a C++ compiler')
def test_inductor():
    skip_where_not_built('compiled')
    (query, key, offset), _ = make_inputs('point_similarity', CASE, torch.float32)
    tensors = [t.requires_grad_() for t in (query, key, key.flip(2), offset)]
    optimised = torch.compile(Pipeline(), fullgraph=True)
    torch.testing.assert_close(results(optimised, tensors), results(Pipeline(), tensors))


@pytest.mark.usefixtures('in_form')
@pytest.mark.parametrize('device', DEVICES)
@parametrize_each(operator=OPERATORS, form=FORMS)
def test_export(operator, form, device):
    module, tensors = make(operator, device=device)
    exported = torch.export.export(module, tuple(tensors))
    torch.testing.assert_close(exported.module()(*tensors), module(*tensors))


@pytest.mark.usefixtures('in_form')
@pytest.mark.parametrize('device', DEVICES)
@parametrize_each(operator=OPERATORS, form=FORMS)
def test_export_of_a_branch(operator, form, device):
    """(Summed, since torch finds no strides for as many points as (channels // 4) may be.)"""
    module, tensors = make(operator, device=device)
    first, *others = (t.detach() for t in tensors)

    class Branches(torch.nn.Module):
        def forward(self, *tensors):
            branches = (lambda *t: module(*t).sum(2)), (lambda *t: -module(*t).sum(2))
            return torch.cond(tensors[0].sum() > 0, *branches, tensors)

    exported = torch.export.export(Branches(), (first, *others), strict=False).module()
    for given, sign in ((first.abs(), 1), (-first.abs(), -1)):
        expected = sign * module(given, *others).sum(2)
        torch.testing.assert_close(exported(given, *others), expected)


@pytest.mark.parametrize('device', DEVICES)
@parametrize_each(operator=OPERATORS, layout=LAYOUTS, border=BORDERS)
def test_export_for_any_size(operator, layout, border, device):
    skip_where_not_built('compiled', device)
    case, *others = (replace(case, border=border) for case in (CASE, *OTHERS))
    module, tensors = make(operator, case, device, layout)
    # A window that is shifted needs room.
    low, high = ((Dim(a, min=3, max=512), Dim(b, min=3, max=1024)) for a, b in ('hw', 'HW'))
    shapes = [dict(zip((t.dim() - 2, t.dim() - 1), high, strict=True)) for t in tensors]
    shapes[1] = dict(zip((2, 3), low, strict=True))
    exported = torch.export.export(module, tuple(tensors), dynamic_shapes=(tuple(shapes),))
    targets = [node.target for node in exported.graph.nodes if node.op == 'call_function']
    assert targets.count(getattr(torch.ops.sapa_ops, operator).default) == 1
    for other in (case, *others):
        _, tensors = make(operator, other, device, layout)
        assert_same([exported.module()(*tensors)], [module(*tensors)])


@pytest.mark.usefixtures('in_form')
@pytest.mark.parametrize('device', DEVICES)
@parametrize_pairs(operator=OPERATORS, form=FORMS, border=BORDERS)
@pytest.mark.filterwarnings('error::torch.jit.TracerWarning')
def test_trace_for_any_size(operator, form, border, device):
    """Traced at an exact multiple, where the eager form has shortcuts, right at all others."""
    module, tensors = make(operator, Case((3, 4), (6, 8), border=border), device)
    traced = torch.jit.trace(module, tuple(tensors), check_trace=False)
    if form == 'compiled':
        assert str(traced.inlined_graph).count(f'sapa_ops::{operator}') == 1
    for low, high in SIZES:
        case = with_room(Case(low, high, batch=3, border=border))
        _, others = make(operator, case, device)
        assert_same(results(traced, others), results(module, others))


@pytest.mark.parametrize('operator', OPERATORS)
def test_trace_checks_the_example(operator):
    module, (first, *others) = make(operator)
    with pytest.raises(ValueError, match=f'^{operator}: batch sizes must agree'):
        torch.jit.trace(module, (first[:2], *others), check_trace=False)
