"""The transforms of torch.func through every upsampler: values against plain autograd."""

import pytest
import sapa_ops
import torch
from torch.func import (
    functional_call,
    functionalize,
    grad,
    jacfwd,
    jacrev,
    jvp,
    replace_all_batch_norm_modules_,
    vjp,
    vmap,
)

from sapa_mm.upsamplers import UPSAMPLERS

from ..support.operators import FORMS, relayout, skip_where_not_built
from ..support.pairs import parametrize_each
from ..support.upsamplers import ALL_TYPES, PEER_VARIANTS, make_inputs, make_upsampler

CASES = [
    *ALL_TYPES.items(),
    *PEER_VARIANTS,
    ('sapa_b', dict(ALL_TYPES['sapa_b'], groups=2, similarity_norm='softplus')),
    ('sapa_d', dict(ALL_TYPES['sapa_d'], shared_offset=True)),
    ('sapa_d', dict(num_points=3, groups=2, guided=False)),
    ('bilinear', dict(crop=True)),
]
LAYOUTS = ('contiguous', 'channels_last')
IMAGES = ('x', 'guide')


class Run:
    """An upsampler as a function of x, guide and parameters by name."""

    def __init__(self, upsampler):
        self.upsampler = upsampler

    def __call__(self, tensors):
        own = {name: t for name, t in tensors.items() if name not in IMAGES}
        return functional_call(self.upsampler, own, tuple(tensors[name] for name in IMAGES))

    def of_one(self, tensors):
        """Of one image, without a batch."""
        return self(at(None, tensors))[0]


def at(index, tensors):
    """The tensors with one image of the batch, or with None, as a batch of one."""
    return {name: t[index] if name in IMAGES else t for name, t in tensors.items()}


def over(names, tensors):
    """For ``vmap``: the first dimension of some tensors."""
    return {name: 0 if name in names else None for name in tensors}


def prepare(kind, options, layout='contiguous', low=(3, 4), high=(5, 8)):
    """A ``Run``, its tensors, and a gradient of its result."""
    upsampler = make_upsampler(kind, **options).eval()
    images = [relayout(t, layout) for t in make_inputs(upsampler, low, high)]
    parameters = {name: p.detach() for name, p in upsampler.named_parameters()}
    upstream = torch.linspace(-1, 1, 8 * high[0] * high[1], dtype=torch.float64).view(2, 4, *high)
    return Run(upsampler), {**dict(zip(IMAGES, images, strict=True)), **parameters}, upstream


def by_autograd(run, tensors, upstream):
    leaves = {name: t.detach().requires_grad_() for name, t in tensors.items()}
    inputs = list(leaves.values())
    grads = torch.autograd.grad(run(leaves), inputs, upstream, materialize_grads=True)
    return dict(zip(leaves, grads, strict=True))


def by_grad(run, tensors, upstream):
    return grad(lambda tensors: (run(tensors) * upstream).sum())(tensors)


def by_vjp(run, tensors, upstream):
    _, pull_back = vjp(run, tensors)
    return pull_back(upstream)[0]


def by_jacrev(run, tensors, upstream):
    return {name: torch.tensordot(upstream, j, 4) for name, j in jacrev(run)(tensors).items()}


def by_jacfwd(run, tensors, upstream):
    """Of the images alone: it takes a pass for each number, and parameters are many."""
    images = {name: tensors[name] for name in IMAGES}
    jacobians = jacfwd(lambda images: run({**tensors, **images}))(images)
    return {name: torch.tensordot(upstream, j, 4) for name, j in jacobians.items()}


def test_every_type_is_covered():
    assert set(UPSAMPLERS) == {kind for kind, _ in CASES}


@parametrize_each(
    ids=lambda value: getattr(value, '__name__', None),
    kind__options=CASES,
    transform=[by_grad, by_vjp, by_jacrev, by_jacfwd],
    layout=LAYOUTS,
    form=FORMS,
)
def test_gradients(kind, options, transform, layout, form):
    skip_where_not_built(form)
    with sapa_ops.use_backend(form):
        problem = prepare(kind, options, layout)
        actual, expected = transform(*problem), by_autograd(*problem)
        assert actual.keys() >= {*IMAGES}
        torch.testing.assert_close(actual, {name: expected[name] for name in actual})


@parametrize_each(kind__options=CASES, layout=LAYOUTS, form=FORMS)
def test_gradients_of_each_image(kind, options, layout, form):
    skip_where_not_built(form)
    with sapa_ops.use_backend(form):
        run, tensors, upstream = prepare(kind, options, layout)
        gradient = grad(lambda tensors, upstream: (run.of_one(tensors) * upstream).sum())
        actual = vmap(gradient, (over(IMAGES, tensors), 0))(tensors, upstream)
        for i in range(2):
            expected = by_autograd(run.of_one, at(i, tensors), upstream[i])
            torch.testing.assert_close({name: t[i] for name, t in actual.items()}, expected)


@parametrize_each(kind__options=CASES, layout=LAYOUTS, form=FORMS)
def test_tangents(kind, options, layout, form):
    skip_where_not_built(form)
    with sapa_ops.use_backend(form):
        run, tensors, upstream = prepare(kind, options, layout)
        tangents = {
            name: torch.linspace(-1, 2, t.numel()).to(t).view(t.shape)
            for name, t in tensors.items()
        }
        out, tangent = jvp(run, (tensors,), (tangents,))
        torch.testing.assert_close(out, run(tensors))
        grads = by_autograd(run, tensors, upstream)
        expected = sum((grads[name] * tangents[name]).sum() for name in tensors)
        torch.testing.assert_close((tangent * upstream).sum(), expected)


@parametrize_each(
    ids=lambda value: getattr(value, '__name__', None),
    kind__options=[case for case in CASES if case[0] in ('sapa_d', 'sapa_b', 'dysample')],
    outer=[jacfwd, jacrev],
    inner=[jacfwd, jacrev],
    form=FORMS,
)
def test_second_derivatives(kind, options, outer, inner, form):
    """Forward mode within forward mode, too, where torch drops the tangents of a Function."""
    skip_where_not_built(form)
    with sapa_ops.use_backend(form):
        run, tensors, upstream = prepare(kind, options, low=(2, 2), high=(3, 4))

        def loss(x):
            return (run({**tensors, 'x': x}) ** 2 * upstream).sum()

        actual = outer(inner(loss))(tensors['x'])
        expected = torch.autograd.functional.hessian(loss, tensors['x'])
        torch.testing.assert_close(actual, expected)


@pytest.mark.parametrize('kind', ['sapa_b', 'sapa_d'])
def test_functionalize(kind):
    """Which torch does not do with a Function."""
    run, tensors, _ = prepare(kind, ALL_TYPES[kind])
    torch.testing.assert_close(functionalize(run)(tensors), run(tensors))


def test_images_with_one_guide():
    """What is not mapped over is the same for all."""
    run, tensors, _ = prepare('sapa_d', ALL_TYPES['sapa_d'])
    guide = tensors['guide'][0]
    actual = vmap(run.of_one, (over('x', tensors),))({**tensors, 'guide': guide})
    torch.testing.assert_close(actual, run({**tensors, 'guide': torch.stack([guide, guide])}))


def test_batch_norm_in_training():
    """IndexNet has it; torch refuses to update its statistics under vmap, and has a way out."""
    run, tensors, _ = prepare('index_net', {})
    run.upsampler.train()
    of_each = vmap(run.of_one, (over(IMAGES, tensors),))
    with pytest.raises(RuntimeError, match='Batch norm got a batched tensor'):
        of_each(tensors)
    replace_all_batch_norm_modules_(run.upsampler)
    expected = torch.stack([run.of_one(at(i, tensors)) for i in range(2)])
    torch.testing.assert_close(of_each(tensors), expected)
