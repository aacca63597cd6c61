"""Derivatives of every order and mode, of every form, and ``torch.func``."""

from dataclasses import replace

import pytest
import sapa_ops
import torch
from torch.autograd import forward_ad
from torch.autograd.gradcheck import gradcheck, gradgradcheck
from torch.utils.checkpoint import checkpoint

from ..support.operators import (
    DEVICES,
    DIRECT,
    FORMS,
    NONDETERMINISM,
    OPERATORS,
    WINDOW,
    Case,
    direct,
    make_inputs,
    only_tensors,
    run_direct,
    skip_where_not_built,
)
from ..support.pairs import parametrize_pairs

SIMILARITIES = ('window_similarity', 'point_similarity')
TINY = Case((2, 2), (3, 3), batch=1, channels=2, groups=2, points=2)
UNEVEN = Case((2, 3), (3, 5), channels=4, points=2)


@pytest.fixture(autouse=True)
def in_form(request):
    chosen = request.node.callspec.params
    skip_where_not_built(chosen['form'], chosen.get('device', 'cpu'))
    with sapa_ops.use_backend(chosen['form']):
        yield


def function_of(operator, case, device='cpu'):
    """The public function with its options, and its tensors."""
    tensors, options = make_inputs(operator, case)
    return (
        lambda *tensors: getattr(sapa_ops, operator)(*tensors, *options),
        [t.to(device) for t in tensors],
    )


def direct_function(operator, case, device):
    """An operator of torch.ops.sapa_ops with its options, and its tensors."""
    arguments, _ = direct(operator, case)
    names = list(only_tensors(arguments))

    def function(*tensors):
        return run_direct(operator, {**arguments, **dict(zip(names, tensors, strict=True))})

    return function, [arguments[name].to(device).requires_grad_() for name in names]


@pytest.mark.parametrize('device', DEVICES)
class TestSecondOrder:
    @parametrize_pairs(operator=OPERATORS, form=FORMS, softmax=[False, True])
    def test_public_functions(self, operator, form, softmax, device):
        """By all inputs, offsets too, and forward over reverse."""
        case = Case((1, 2), (2, 3), batch=1, channels=2, groups=1, points=2, softmax=softmax)
        function, tensors = function_of(operator, case, device)
        tensors = [t.requires_grad_() for t in tensors]
        options = dict(atol=1e-6, nondet_tol=NONDETERMINISM[device])
        assert gradgradcheck(function, tensors, **options, check_fwd_over_rev=True)

    @parametrize_pairs(operator=DIRECT, form=FORMS)
    def test_operators(self, operator, form, device):
        function, tensors = direct_function(operator, TINY, device)
        options = dict(nondet_tol=NONDETERMINISM[device])
        assert gradcheck(function, tensors, **options, check_forward_ad=True)
        assert gradgradcheck(function, tensors, **options, atol=1e-6)

    @parametrize_pairs(operator=WINDOW, form=FORMS, border=['replicate', 'shift'])
    def test_borders(self, operator, form, border, device):
        case = Case((3, 3), (3, 4), batch=1, channels=1, groups=1, border=border)
        function, tensors = direct_function(operator, case, device)
        assert gradcheck(function, tensors, check_forward_ad=True)
        assert gradgradcheck(function, tensors, atol=1e-6)

    @pytest.mark.parametrize('form', FORMS)
    def test_gradient_penalty(self, form, device):
        """A gradient's norm as a loss, through both operators and the offsets."""
        similarity, (query, key, offset) = function_of('point_similarity', UNEVEN, device)
        tensors = [t.requires_grad_() for t in (query, key, offset)]
        weight = similarity(*tensors).softmax(2)
        out = sapa_ops.point_assemble(weight, key, offset)
        grads = torch.autograd.grad(out.square().sum(), tensors, create_graph=True)
        sum(grad.square().sum() for grad in grads).backward()
        assert all(t.grad.isfinite().all() and t.grad.any() for t in tensors)

    @parametrize_pairs(operator=SIMILARITIES, form=FORMS)
    def test_reverse_over_forward(self, operator, form, device):
        """The tangents of softmax depend on the inputs, too."""
        case = Case((1, 2), (2, 3), batch=1, channels=2, groups=2, points=2, softmax=True)
        function, tensors = function_of(operator, case, device)
        tangents = [t.cos() for t in tensors]

        def tangent(*tensors):
            with forward_ad.dual_level():
                out = function(*map(forward_ad.make_dual, tensors, tangents))
                return forward_ad.unpack_dual(out).tangent

        tensors = [t.requires_grad_() for t in tensors]
        assert gradcheck(tangent, tensors, nondet_tol=NONDETERMINISM[device])


@parametrize_pairs(operator=OPERATORS, form=FORMS, softmax=[False, True], reentrant=[False, True])
def test_checkpoint(operator, form, softmax, reentrant):
    """It hands out what is saved once only."""
    function, tensors = function_of(operator, replace(UNEVEN, softmax=softmax))
    expected = gradients(function, tensors)
    got = gradients(lambda *t: checkpoint(function, *t, use_reentrant=reentrant), tensors)
    torch.testing.assert_close(got, expected)


@parametrize_pairs(operator=OPERATORS, form=FORMS, softmax=[False, True])
def test_batched_gradients(operator, form, softmax):
    """``is_grads_batched``, by which torch.autograd.functional vectorizes."""
    function, tensors = function_of(operator, replace(UNEVEN, softmax=softmax))
    tensors = [t.requires_grad_() for t in tensors]
    out = function(*tensors)
    upstream = torch.randn(3, *out.shape, dtype=out.dtype)
    batched = torch.autograd.grad(out, tensors, upstream, True, is_grads_batched=True)
    for i in range(3):
        expected = torch.autograd.grad(out, tensors, upstream[i], True)
        torch.testing.assert_close([grads[i] for grads in batched], list(expected))


@parametrize_pairs(operator=OPERATORS, form=FORMS)
def test_second_order_without_values(operator, form):
    function, tensors = function_of(operator, UNEVEN, 'meta')
    tensors = [t.requires_grad_() for t in tensors]
    grads = torch.autograd.grad(function(*tensors).sum(), tensors, create_graph=True)
    for second, tensor in zip(
        torch.autograd.grad(sum(g.sum() for g in grads), tensors), tensors, strict=True
    ):
        assert second.shape == tensor.shape


def gradients(function, tensors):
    own = [t.clone().requires_grad_() for t in tensors]
    function(*own).square().sum().backward()
    return [t.grad for t in own]


class TestTangents:
    @parametrize_pairs(operator=OPERATORS, form=FORMS, softmax=[False, True])
    def test_forward_mode(self, operator, form, softmax):
        case = Case((2, 2), (3, 3), batch=1, channels=2, points=2, softmax=softmax)
        function, tensors = function_of(operator, case)
        tensors = [t.requires_grad_() for t in tensors]
        assert gradcheck(function, tensors, check_forward_ad=True)

    @parametrize_pairs(operator=OPERATORS, form=FORMS, which=range(3))
    def test_of_one_input(self, operator, form, which):
        """The others have none."""
        function, tensors = function_of(operator, UNEVEN)
        which = min(which, len(tensors) - 1)
        tangent = torch.randn_like(tensors[which])
        out, pull_back = torch.func.vjp(function, *tensors)
        upstream = torch.randn_like(out)
        with forward_ad.dual_level():
            dual = list(tensors)
            dual[which] = forward_ad.make_dual(tensors[which], tangent)
            got = forward_ad.unpack_dual(function(*dual)).tangent
        torch.testing.assert_close(
            (got * upstream).sum(), (pull_back(upstream)[which] * tangent).sum()
        )


class TestTransforms:
    """Of ``torch.func``, against the reverse mode of autograd with the eager form."""

    def expected(self, function, tensors):
        own = [t.clone().requires_grad_() for t in tensors]
        with sapa_ops.use_backend('eager'):
            return torch.autograd.grad(function(*own).square().sum(), own)

    @parametrize_pairs(operator=OPERATORS, form=FORMS, softmax=[False, True])
    def test_grad_and_vjp(self, operator, form, softmax):
        case = Case((2, 3), (3, 5), channels=4, softmax=softmax)
        function, tensors = function_of(operator, case)
        every = tuple(range(len(tensors)))
        grads = torch.func.grad(lambda *t: function(*t).square().sum(), every)(*tensors)
        out, pull_back = torch.func.vjp(function, *tensors)
        for got in (grads, pull_back(2 * out)):
            torch.testing.assert_close(list(got), list(self.expected(function, tensors)))

    @parametrize_pairs(operator=OPERATORS, form=FORMS, softmax=[False, True])
    def test_autograd_over_vjp(self, operator, form, softmax):
        """Of a pull-back that is called after its transform has ended."""
        function, tensors = function_of(operator, replace(UNEVEN, softmax=softmax))
        own = [t.requires_grad_() for t in tensors]
        out = function(*own)
        first = torch.autograd.grad(out, own, out.detach(), create_graph=True)
        _, pull_back = torch.func.vjp(function, *own)
        got, expected = (
            torch.autograd.grad(sum(grad.square().sum() for grad in grads), own)
            for grads in (pull_back(out.detach()), first)
        )
        torch.testing.assert_close(got, expected)

    @parametrize_pairs(operator=OPERATORS, form=FORMS, softmax=[False, True])
    def test_gradients_of_each_sample(self, operator, form, softmax):
        case = Case((2, 3), (3, 5), batch=3, channels=4, softmax=softmax)
        function, tensors = function_of(operator, case)
        every = tuple(range(len(tensors)))

        def loss(*sample):
            return function(*(t[None] for t in sample)).square().sum()

        grads = torch.func.vmap(torch.func.grad(loss, every))(*tensors)
        torch.testing.assert_close(list(grads), list(self.expected(function, tensors)))

    @parametrize_pairs(operator=OPERATORS, form=FORMS, dim=[0, 1, 2, 4], mapped=range(3))
    def test_vmap(self, operator, form, dim, mapped):
        """Over any dimension of one input, and of none of the others."""
        function, tensors = function_of(operator, UNEVEN)
        mapped = min(mapped, len(tensors) - 1)
        tensor = tensors[mapped]
        many = torch.stack([tensor, 2 * tensor, -tensor], min(dim, tensor.dim()))
        dims = [None] * len(tensors)
        dims[mapped] = min(dim, tensor.dim())
        own = [many if i == mapped else t for i, t in enumerate(tensors)]
        out = torch.func.vmap(function, tuple(dims))(*own)
        for i, sample in enumerate((tensor, 2 * tensor, -tensor)):
            own[mapped] = sample
            torch.testing.assert_close(out[i], function(*own))

    @parametrize_pairs(operator=OPERATORS, form=FORMS, softmax=[False, True])
    def test_jacobians_and_hessians(self, operator, form, softmax):
        case = Case((1, 2), (2, 3), batch=1, channels=2, points=2, softmax=softmax)
        function, (*others, last) = function_of(operator, case)
        reverse = torch.func.jacrev(function, len(others))(*others, last)
        forward = torch.func.jacfwd(function, len(others))(*others, last)
        torch.testing.assert_close(forward, reverse)

        def loss(last):
            return function(*others, last).square().sum()

        own = last.clone().requires_grad_()
        with sapa_ops.use_backend('eager'):
            expected = torch.autograd.functional.hessian(loss, own)
        torch.testing.assert_close(torch.func.hessian(loss)(last), expected)
        torch.testing.assert_close(torch.func.jacrev(torch.func.jacrev(loss))(last), expected)

    @parametrize_pairs(operator=WINDOW[:2], form=FORMS, border=['replicate', 'shift'])
    def test_forward_mode_within_itself(self, operator, form, border):
        """By plain PyTorch, of which windows at borders are a part of their own."""
        case = Case((3, 3), (3, 4), batch=1, channels=2, groups=1, border=border)
        function, (first, last) = function_of(operator, case)

        def loss(last):
            return function(first, last).square().sum()

        forward = torch.func.jacfwd(torch.func.jacfwd(loss))(last)
        torch.testing.assert_close(forward, torch.func.jacrev(torch.func.jacrev(loss))(last))

    @parametrize_pairs(operator=OPERATORS, form=FORMS)
    def test_without_autograd(self, operator, form):
        """No gradient is asked for, none is recorded."""
        function, tensors = function_of(operator, UNEVEN)
        expected = function(*tensors)
        assert not expected.requires_grad
        with torch.no_grad():
            assert not function(*(t.clone().requires_grad_() for t in tensors)).requires_grad
        with torch.inference_mode():
            torch.testing.assert_close(function(*tensors).clone(), expected)
