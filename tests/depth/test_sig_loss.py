"""The loss of log depth, against a literal one in float64."""

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

pytest.importorskip('mmseg')

from mmseg.registry import MODELS

from sapa_mm.depth import SigLoss

from ..support.foreign_upsamplers import load_by_mmengine, load_by_torch
from ..support.pairs import in_both_tiers


def make(seed=0, shape=(2, 1, 5, 7), missing=0.3):
    """Predictions and targets in metres, the latter with holes."""
    generator = torch.Generator().manual_seed(seed)
    pred = 10 * torch.rand(shape, generator=generator, dtype=torch.float64)
    target = 0.5 + 9.5 * torch.rand(shape, generator=generator, dtype=torch.float64)
    target[torch.rand(shape, generator=generator) < missing] = 0
    return pred, target


def literal(pred, target, warming_up=False):
    """Pixel by pixel, as the formula reads."""
    pairs = zip(pred.flatten().tolist(), target.flatten().tolist(), strict=True)
    g = [math.log(p + 0.001) - math.log(z + 0.001) for p, z in pairs if z > 0]
    mean = sum(g) / len(g)
    variance = sum((value - mean) ** 2 for value in g) / (len(g) - 1)
    return math.sqrt((0 if warming_up else variance) + 0.15 * mean**2)


@in_both_tiers
def test_against_the_formula(examples):
    @settings(max_examples=examples)
    @given(
        seed=st.integers(0, 2**32),
        shape=st.tuples(st.integers(1, 3), st.just(1), st.integers(2, 9), st.integers(2, 9)),
        warm_up=st.booleans(),
        weight=st.floats(0.1, 10),
    )
    def check(seed, shape, warm_up, weight):
        pred, target = make(seed, shape)
        target.view(-1)[:2] = 3  # two measured pixels at least
        loss = SigLoss(warm_up, loss_weight=weight)(pred, target)
        assert loss.item() == pytest.approx(weight * literal(pred, target, warm_up), rel=1e-12)

    check()


def test_the_batch_is_one_set_of_pixels():
    """Neither the mean over the images nor a biased variance."""
    pred, target = make()
    loss = SigLoss()(pred, target)
    apart = [literal(*image) for image in zip(pred, target, strict=True)]
    assert loss.item() == pytest.approx(literal(pred, target), rel=1e-12)
    assert abs(loss.item() - sum(apart) / 2) > 1e-3


@pytest.mark.parametrize('warm_up', [False, True])
def test_gradient(warm_up):
    pred, target = make(shape=(2, 1, 3, 3))
    loss = SigLoss(warm_up).eval()  # not counting
    assert torch.autograd.gradcheck(lambda x: loss(x, target), pred.requires_grad_())


@pytest.mark.parametrize('value', [0.0, -1.0, math.nan, math.inf, -math.inf])
def test_what_is_not_measured_has_no_part(value):
    pred, target = make()
    missing = target == 0
    expected = SigLoss()(pred, target)
    target[missing] = value
    pred[missing] = 5
    pred.requires_grad_()
    loss = SigLoss()(pred, target)
    assert torch.equal(loss, expected)
    loss.backward()
    assert torch.equal(pred.grad == 0, missing)


@pytest.mark.parametrize('warm_up', [False, True])
@pytest.mark.parametrize('measured', [0, 1])
def test_too_few_pixels(measured, warm_up):
    pred, target = make()
    target.zero_().view(-1)[:measured] = 2
    pred.requires_grad_()
    loss = SigLoss(warm_up)(pred, target)
    assert loss.item() == 0
    loss.backward()
    assert torch.equal(pred.grad, torch.zeros_like(pred))


@pytest.mark.parametrize('warm_up', [False, True])
def test_a_perfect_prediction(warm_up):
    _, target = make()
    pred = target.clone().requires_grad_()
    loss = SigLoss(warm_up)(pred, target)
    loss.backward()
    assert loss.item() == pytest.approx(0, abs=1e-18)
    assert torch.equal(pred.grad, torch.zeros_like(pred))


def test_zeros_everywhere_are_finite():
    """What a dead ReLU predicts, less the head's 0.001."""
    _, target = make()
    pred = torch.zeros_like(target).requires_grad_()
    loss = SigLoss()(pred, target)
    loss.backward()
    assert loss.isfinite()
    assert pred.grad.isfinite().all()


def test_half_precision_is_computed_in_float32():
    pred, target = make()
    pred = pred.half()
    loss = SigLoss()(pred, target.float())
    assert loss.dtype == torch.float32
    assert loss.item() == pytest.approx(literal(pred, target), rel=1e-5)


class TestWarmUp:
    def test_ends_after_its_iterations(self):
        pred, target = make()
        loss = SigLoss(warm_up=True, warm_up_iters=2)
        got = [loss(pred, target).item() for _ in range(4)]
        expected = [literal(pred, target, warming_up) for warming_up in (1, 1, 0, 0)]
        assert got == pytest.approx(expected, rel=1e-12)

    def test_evaluation_does_not_count(self):
        pred, target = make()
        loss = SigLoss(warm_up=True, warm_up_iters=1).eval()
        assert loss(pred, target) == loss(pred, target)
        assert loss.iteration == 0

    def test_batches_without_depth_count(self):
        pred, target = make()
        loss = SigLoss(warm_up=True, warm_up_iters=1)
        loss(pred, torch.zeros_like(target))
        assert loss(pred, target).item() == pytest.approx(literal(pred, target), rel=1e-12)

    def test_goes_on_from_a_state_dict(self):
        pred, target = make()
        first = SigLoss(warm_up=True, warm_up_iters=2)
        first(pred, target)
        second = SigLoss(warm_up=True, warm_up_iters=2)
        second.load_state_dict(first.state_dict(), strict=True)
        second(pred, target)
        assert second(pred, target).item() == pytest.approx(literal(pred, target), rel=1e-12)

    def test_without_it_there_is_no_state(self):
        assert SigLoss().state_dict() == {}

    @pytest.mark.parametrize('load', [load_by_torch, load_by_mmengine])
    def test_weights_fit_with_and_without_it(self, load):
        pred, target = make()
        with_it, without = (torch.nn.ModuleDict({'loss': SigLoss(on)}) for on in (True, False))
        with_it['loss'](pred, target)
        load(without, with_it.state_dict())
        load(with_it, without.state_dict())
        assert with_it['loss'].iteration == 1


def test_builds_from_the_registry():
    loss = MODELS.build(dict(type='SigLoss', loss_weight=2.0, loss_name='loss_depth'))
    assert type(loss) is SigLoss
    assert loss.loss_name == 'loss_depth'


@pytest.mark.parametrize(
    ('options', 'message'),
    [
        (dict(warm_up=1), 'warm_up must be True or False, got 1'),
        (dict(warm_up_iters=0), 'warm_up_iters must be a positive integer, got 0'),
        (dict(warm_up_iters=True), 'warm_up_iters must be a positive integer, got True'),
        (dict(warm_up_iters=1.5), 'warm_up_iters must be a positive integer, got 1.5'),
    ],
)
def test_bad_options(options, message):
    with pytest.raises(ValueError, match=message):
        SigLoss(**options)


def test_bad_shapes():
    with pytest.raises(ValueError, match=r'got \(1, 1, 4, 4\) and \(1, 4, 4\)'):
        SigLoss()(torch.ones(1, 1, 4, 4), torch.ones(1, 4, 4))
