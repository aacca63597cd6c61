"""The forms of the operators, on every device, against the float64 oracle."""

import pytest
import sapa_ops
import torch
from sapa_ops import eager, reference

from ..support.operators import (
    DEVICES,
    FORMS,
    HALF,
    LAYOUTS,
    NONDETERMINISM,
    OPERATORS,
    SIZES,
    TOLERANCES,
    Case,
    assert_close,
    assert_matches_oracle,
    call,
    make_inputs,
    relayout,
    solve,
)
from ..support.pairs import pairs, parametrize_pairs

WINDOW_OPERATORS = ('window_similarity', 'window_assemble')
POINT_OPERATORS = ('point_similarity', 'point_assemble')
SIMILARITIES = ('window_similarity', 'point_similarity')
DENSE_LAYOUTS = ('contiguous', 'channels_last')

# Low-res and high-res rows of more than 16 columns, groups of 9 channels: whole SIMD blocks and
# remainders.
LAYOUT_CASE = Case((2, 17), (3, 34), channels=18)
LAYOUT_DTYPES = (torch.float32, torch.bfloat16, torch.float64)

# Channels of all groups, and groups: no multiple of a vector, a multiple, several blocks.
CHANNELS = [(1, 1), (3, 1), (3, 3), (10, 5), (17, 1), (34, 2), (64, 1), (67, 1), (128, 1), (128, 2)]

# Borders that keep windows on the map.
KEEPING = ('replicate', 'shift')

# Maps with room for 5 x 5 taps: ratios 1 to 16, and odd sizes.
BORDER_SIZES = [
    ((5, 12), (5, 12)),
    ((5, 5), (10, 15)),
    ((6, 7), (11, 13)),
    ((7, 5), (12, 7)),
    ((5, 5), (79, 5)),
    ((5, 5), (5, 80)),
]

# Small enough for finite differences.
TINY = Case((2, 3), (3, 5), batch=1, channels=2, groups=2, points=2)


def pairs_of_layouts(**others):
    """Parametrize with pairs of dtypes, of the layouts of all tensors, and of other values."""
    layouts = dict.fromkeys(('first', 'second', 'offset', 'upstream'), LAYOUTS)
    return pytest.mark.parametrize(
        'chosen',
        pairs(**others, dtype=LAYOUT_DTYPES, **layouts),
        ids=lambda chosen: '-'.join(map(str, chosen.values())),
    )


@pytest.mark.parametrize('device', DEVICES)
class TestAgainstOracle:
    @parametrize_pairs(
        operator=OPERATORS, form=FORMS, low__high=SIZES, dtype=[torch.float64, torch.float32]
    )
    def test_sizes(self, operator, form, device, low, high, dtype):
        assert_matches_oracle(operator, form, Case(low, high, batch=1), dtype, device)

    @parametrize_pairs(
        operator=OPERATORS, form=FORMS, dtype=TOLERANCES, seed=range(3), layout=DENSE_LAYOUTS
    )
    def test_dtypes(self, operator, form, device, dtype, seed, layout):
        case = Case((4, 3), (7, 6), channels=10, seed=seed)
        assert_matches_oracle(operator, form, case, dtype, device, (layout,) * 4)

    @parametrize_pairs(
        operator=OPERATORS,
        form=FORMS,
        channels__groups=CHANNELS,
        dtype=[torch.float64, torch.float32, torch.float16],
        layout=DENSE_LAYOUTS,
    )
    def test_channels(self, operator, form, device, channels, groups, dtype, layout):
        case = Case((2, 2), (3, 4), channels=channels, groups=groups, batch=1)
        assert_matches_oracle(operator, form, case, dtype, device, (layout,) * 4)

    @pairs_of_layouts(operator=OPERATORS, form=FORMS)
    def test_pairs_of_layouts(self, device, chosen):
        """The inputs and the gradient of the output have a layout each."""
        operator, form, dtype, *layouts = chosen.values()
        assert_matches_oracle(operator, form, LAYOUT_CASE, dtype, device, layouts)

    @pytest.mark.extended
    @pytest.mark.parametrize('operator', OPERATORS)
    @pytest.mark.parametrize('form', FORMS)
    @pairs_of_layouts()
    def test_pairs_of_layouts_for_every_operator(self, operator, form, device, chosen):
        dtype, *layouts = chosen.values()
        assert_matches_oracle(operator, form, LAYOUT_CASE, dtype, device, layouts)

    @parametrize_pairs(
        operator=OPERATORS,
        form=FORMS,
        constant=[(0,), (1,), (2,), (3,), (0, 1, 2, 3)],
        dtype=[torch.float32, torch.float16],
    )
    def test_expanded(self, operator, form, device, dtype, constant):
        case = Case((2, 3), (4, 5), constant=constant)
        for tensor in solve(operator, case, dtype).tensors:
            assert relayout(tensor, 'expanded').stride(constant[0]) == 0
        assert_matches_oracle(operator, form, case, dtype, device, ('expanded',) * 4)

    @parametrize_pairs(
        operator=OPERATORS, form=FORMS, layout=LAYOUTS, dtype=[torch.float32, torch.bfloat16]
    )
    def test_gradients_of_a_sum(self, operator, form, device, dtype, layout):
        """The gradient of the output is a single 1, expanded."""
        case = Case((4, 3), (7, 6), upstream='ones')
        assert_matches_oracle(operator, form, case, dtype, device, (layout,) * 4)

    @parametrize_pairs(operator=OPERATORS, form=FORMS, batch=range(4), layout=DENSE_LAYOUTS)
    def test_batch(self, operator, form, device, batch, layout):
        case = Case((2, 3), (4, 5), batch=batch)
        assert_matches_oracle(operator, form, case, torch.float32, device, (layout,) * 4)

    @pytest.mark.parametrize('form', FORMS)
    @pytest.mark.parametrize('operator', OPERATORS)
    def test_gradients_of_some_inputs(self, operator, form, device):
        """Leaving some gradients out does not change the others."""
        known = solve(operator, Case((4, 3), (7, 6)))
        for wanted in range(len(known.tensors)):
            tensors = [t.detach().clone().to(device) for t in known.tensors]
            tensors[wanted].requires_grad_()
            out = call(operator, form, tensors, known.options)
            out.backward(known.upstream.to(device))
            assert_close(tensors[wanted].grad, known.grads[wanted], torch.float64)
            assert [t.grad is None for t in tensors].count(False) == 1

    @pytest.mark.parametrize('form', FORMS)
    @pytest.mark.parametrize('operator', OPERATORS)
    def test_gradcheck(self, operator, form, device):
        tensors, options = make_inputs(operator, TINY)
        tensors = [t.to(device).requires_grad_() for t in tensors]
        assert torch.autograd.gradcheck(
            lambda *t: call(operator, form, t, options),
            tensors,
            nondet_tol=NONDETERMINISM[device],
        )

    @pytest.mark.parametrize('form', FORMS)
    @pytest.mark.parametrize('operator', OPERATORS)
    def test_inputs_are_left_as_they_are(self, operator, form, device):
        tensors, options = make_inputs(operator, LAYOUT_CASE, torch.float32)
        for layout in DENSE_LAYOUTS:
            own = [relayout(t.clone().to(device), layout).requires_grad_() for t in tensors]
            out = call(operator, form, own, options)
            upstream = relayout(torch.ones_like(out), layout)
            out.backward(upstream)
            assert torch.equal(upstream, torch.ones_like(out))
            assert all(torch.equal(a.cpu(), b) for a, b in zip(own, tensors, strict=True))


@pytest.mark.parametrize('device', DEVICES)
@parametrize_pairs(
    operator=WINDOW_OPERATORS,
    form=FORMS,
    kernel_size=[1, 3, 5, 7, 9],
    low__high=[((3, 4), (5, 8)), ((2, 11), (3, 13)), ((2, 12), (2, 12))],
    layout=DENSE_LAYOUTS,
    border=['zeros', 'replicate'],
)
def test_kernel_sizes(operator, form, device, kernel_size, low, high, layout, border):
    """Windows smaller and larger than the map."""
    case = Case(low, high, batch=1, channels=4, kernel_size=kernel_size, border=border)
    assert_matches_oracle(operator, form, case, torch.float32, device, (layout,) * 4)


@pytest.mark.parametrize('device', DEVICES)
class TestBorders:
    """Windows that stay on the map."""

    @parametrize_pairs(
        product=False,
        operator=WINDOW_OPERATORS,
        form=FORMS,
        border=KEEPING,
        low__high=BORDER_SIZES,
        kernel_size=[1, 3, 5],
        channels__groups=[(1, 1), (4, 2), (6, 3), (17, 1)],
        dtype=TOLERANCES,
        layout=DENSE_LAYOUTS,
    )
    def test_against_oracle(
        self,
        operator,
        form,
        device,
        border,
        low,
        high,
        kernel_size,
        channels,
        groups,
        dtype,
        layout,
    ):
        options = dict(channels=channels, groups=groups, kernel_size=kernel_size, border=border)
        case = Case(low, high, batch=1, **options)
        assert_matches_oracle(operator, form, case, dtype, device, (layout,) * 4)

    @parametrize_pairs(operator=WINDOW_OPERATORS, form=FORMS, border=KEEPING)
    def test_gradcheck(self, operator, form, device, border):
        case = Case((3, 3), (5, 4), batch=1, channels=2, border=border)
        tensors, options = make_inputs(operator, case)
        tensors = [t.to(device).requires_grad_() for t in tensors]
        assert torch.autograd.gradcheck(lambda *t: call(operator, form, t, options), tensors)

    @parametrize_pairs(
        operator=WINDOW_OPERATORS,
        form=FORMS,
        border=KEEPING,
        number=['nan', 'inf', '-inf'],
        index=range(3),
    )
    def test_not_finite(self, operator, form, device, border, number, index):
        """In the outputs and gradients that read it."""
        case = Case((3, 4), (5, 8), strays=((index, number),), seed=index, border=border)
        assert_matches_oracle(operator, form, case, torch.float32, device)

    @parametrize_pairs(form=FORMS, border=KEEPING)
    def test_every_tap_is_read(self, form, device, border):
        query = torch.full((1, 1, 4, 5), torch.nan, device=device)
        options = (3, 1, False, border)
        assert call('window_similarity', form, (query, query), options).isnan().all()

    @pytest.mark.parametrize('form', [*FORMS, 'reference'])
    @pytest.mark.parametrize(
        ('border', 'place', 'expected'),
        [
            ('replicate', (0, 0), [0, 0, 1, 0, 0, 1, 4, 4, 5]),
            ('replicate', (2, 3), [6, 7, 7, 10, 11, 11, 10, 11, 11]),
            ('shift', (0, 0), [0, 1, 2, 4, 5, 6, 8, 9, 10]),
            ('shift', (1, 1), [0, 1, 2, 4, 5, 6, 8, 9, 10]),
            ('shift', (2, 3), [1, 2, 3, 5, 6, 7, 9, 10, 11]),
        ],
    )
    def test_taps(self, form, device, border, place, expected):
        key = torch.arange(12.0, device=device).view(1, 1, 3, 4)
        tensors, options = (torch.ones_like(key), key), (3, 1, False, border)
        if form == 'reference':
            out = reference.window_similarity(*tensors, *options)
        else:
            out = call('window_similarity', form, tensors, options)
        assert out[0, :, place[0], place[1]].tolist() == expected


@pytest.mark.parametrize('device', DEVICES)
class TestSoftmax:
    """Within the similarity."""

    @parametrize_pairs(
        product=False,
        operator=SIMILARITIES,
        form=FORMS,
        low__high=SIZES,
        dtype=TOLERANCES,
        side__points=[(1, 1), (3, 3), (5, 17)],
        groups=[1, 2, 3],
        layout=DENSE_LAYOUTS,
    )
    def test_against_oracle(
        self, operator, form, device, low, high, dtype, side, points, groups, layout
    ):
        case = Case(low, high, kernel_size=side, points=points, groups=groups, softmax=True)
        assert_matches_oracle(operator, form, case, dtype, device, (layout,) * 4)

    @parametrize_pairs(operator=SIMILARITIES, form=FORMS, dtype=TOLERANCES, scale=[1, 100, 1e4])
    def test_large_similarities(self, operator, form, device, dtype, scale):
        """As torch's own, in float64."""
        tensors, options = make_inputs(operator, Case(channels=4, softmax=True), dtype)
        tensors = [t.to(device) for t in (tensors[0] * scale, *tensors[1:])]
        out = call(operator, form, tensors, options)
        wanted = getattr(reference, operator)(*tensors, *options)
        assert_close(out, wanted.cpu(), dtype)

    @parametrize_pairs(
        operator=SIMILARITIES, form=FORMS, dtype=TOLERANCES, number=['nan', 'inf', '-inf']
    )
    def test_not_finite(self, operator, form, device, dtype, number):
        """NaN and infinity make all weights of a position NaN, the lowest makes its own 0."""
        tensors, options = make_inputs(operator, Case(channels=4, softmax=True), dtype)
        tensors = [t.to(device) for t in tensors]
        tensors[1][0, 0, 1, 1] = float(number)
        tensors[0].abs_()
        out = call(operator, form, tensors, options)
        options = [False if option is True else option for option in options]
        similarity = call(operator, form, [t.double() for t in tensors], options)
        split = similarity.unflatten(1, (2, -1)) if similarity.dim() == 4 else similarity
        wanted = split.softmax(2).view_as(out)
        assert wanted.isnan().any() == (number != '-inf')
        assert_close(out, wanted.cpu(), dtype)

    @pytest.mark.parametrize('form', FORMS)
    @pytest.mark.parametrize('operator', SIMILARITIES)
    def test_half_types_are_rounded_once(self, operator, form, device):
        tensors, options = make_inputs(operator, Case(channels=64, softmax=True), torch.bfloat16)
        tensors = [t.to(device) for t in tensors]
        whole = call(operator, form, [t.float() for t in tensors], options)
        assert torch.equal(call(operator, form, tensors, options), whole.bfloat16())


@pytest.mark.parametrize('device', DEVICES)
class TestPlacesOfPoints:
    @parametrize_pairs(operator=POINT_OPERATORS, form=FORMS, dtype=TOLERANCES, points=[1, 10, 13])
    def test_on_borders(self, operator, form, device, dtype, points):
        """Half a pixel outside, at the ends of the open interval, on pixels, far away."""
        case = Case((3, 4), (6, 7), batch=1, points=points, offsets='borders')
        assert_matches_oracle(operator, form, case, dtype, device)

    @pytest.mark.parametrize('form', FORMS)
    @pytest.mark.parametrize('operator', POINT_OPERATORS)
    def test_next_to_borders(self, operator, form, device):
        """Where the last bit decides between inside and outside. (Eager, on the border itself.)"""
        case = Case((3, 4), (6, 7), batch=1, points=9, offsets='next to borders')
        if form == 'compiled':
            assert_matches_oracle(operator, form, case, torch.float32, device)
        else:
            known = solve(operator, case, torch.float32)
            tensors = [t.to(device) for t in known.tensors]
            assert_close(call(operator, form, tensors, known.options), known.out, torch.float32)

    @parametrize_pairs(
        operator=POINT_OPERATORS, form=FORMS, channels=[16, 64, 130], layout=DENSE_LAYOUTS
    )
    def test_near_and_far(self, operator, form, device, channels, layout):
        """Many low-res rows, of which the CPU copies those near a position's."""
        case = Case((37, 2), (73, 3), batch=1, points=1, channels=channels)
        assert_matches_oracle(operator, form, case, torch.float32, device, (layout,) * 4)

    @pytest.mark.parametrize('form', FORMS)
    @pytest.mark.parametrize('operator', POINT_OPERATORS)
    def test_outside_is_zero(self, operator, form, device):
        """From -1 down and the size up, whatever the map holds."""
        tensors, options = make_inputs(operator, Case((3, 4), (3, 4), points=1))
        *maps, offset = [t.to(device) for t in tensors]
        for outside in (-4.0, -1e30, 4.0, 1e30, torch.inf, -torch.inf):
            offset = torch.full_like(offset, outside).requires_grad_()
            maps = [t.detach().requires_grad_() for t in maps]
            out = call(operator, form, (*maps, offset), options)
            grads = torch.autograd.grad(out.sum(), (*maps, offset))
            assert [t.abs().max().item() for t in (out, *grads)] == [0] * 4


@pytest.mark.parametrize('device', DEVICES)
@pytest.mark.parametrize('form', FORMS)
@pytest.mark.parametrize('operator', OPERATORS)
def test_values_that_no_tap_reads_have_no_effect(operator, form, device):
    """Not even NaN: no value is dropped by multiplying it by zero."""
    tensors, options = make_inputs(operator, Case((3, 9), (6, 18), batch=1))
    tensors = [t.to(device) for t in tensors]
    if operator in POINT_OPERATORS:
        tensors[2] = tensors[2].clamp(-0.9, 0.9)
    expected = call(operator, form, tensors, options)
    tensors[1] = tensors[1].clone()
    tensors[1][..., 6:] = torch.nan
    out = call(operator, form, tensors, options)
    assert torch.equal(out[..., :8], expected[..., :8])
    assert out[..., 14:].isnan().any()


@pytest.mark.parametrize('device', DEVICES)
class TestNotFinite:
    """NaN and infinities in inputs and gradients."""

    @parametrize_pairs(
        operator__index=[(o, i) for o in OPERATORS for i in range(3 + (o in POINT_OPERATORS))],
        form=FORMS,
        number=['nan', 'inf', '-inf'],
        dtype=TOLERANCES,
        low__high=[((3, 4), (6, 8)), ((4, 3), (7, 5)), ((3, 5), (5, 7)), ((2, 8), (2, 8))],
    )
    def test_one(self, operator, index, form, device, number, dtype, low, high):
        """In the outputs and gradients that read it, as in the oracle."""
        case = Case(low, high, channels=10, strays=((index, number),), seed=index)
        assert solve(operator, case, dtype).out.isfinite().any()
        assert_matches_oracle(operator, form, case, dtype, device)

    @pytest.mark.parametrize('number', ['nan', 'inf'])
    @pytest.mark.parametrize('form', FORMS)
    @pytest.mark.parametrize('operator', OPERATORS)
    def test_padding_is_not_read(self, operator, form, device, number):
        """Queries and weights that are nowhere finite meet no zero outside the map."""
        tensors, options = make_inputs(operator, Case((3, 4), (3, 4), batch=1))
        tensors = [t.to(device) for t in tensors]
        tensors[0].fill_(float(number))
        if operator in POINT_OPERATORS:
            tensors[2].fill_(-1)
            assert not call(operator, form, tensors, options)[..., 0, :].any()
            assert not call(operator, form, tensors, options)[..., 0].any()
        elif operator == 'window_similarity':
            out = call(operator, form, tensors, options)[0, :9, 0, 0]
            assert out.isfinite().tolist() == [True] * 4 + [False, False, True, False, False]
        else:
            tensors[0].unflatten(1, (-1, 9))[:, :, 4:].fill_(1)  # the taps above and before
            assert call(operator, form, tensors, options)[..., 0, 0].isfinite().all()

    @pytest.mark.parametrize('form', FORMS)
    @pytest.mark.parametrize('operator', POINT_OPERATORS)
    @pytest.mark.parametrize('other', [0.0, 1e30, torch.inf, torch.nan])
    @pytest.mark.parametrize('coordinate', [0, 1])
    def test_a_point_at_nan(self, operator, form, device, other, coordinate):
        """Whatever its other coordinate, and nowhere else."""
        tensors, options = make_inputs(operator, Case((3, 4), (6, 8), channels=4, points=2))
        offset = tensors[2].unflatten(1, (2, 2, 2))  # groups, points, (x, y)
        offset[1, 0, 1, :, 4, 5] = other
        offset[1, 0, 1, coordinate, 4, 5] = torch.nan
        out = call(operator, form, [t.to(device) for t in tensors], options)
        wanted = torch.zeros(out.shape, dtype=torch.bool)
        if operator == 'point_similarity':
            wanted[1, 0, 1, 4, 5] = True
        else:
            wanted[1, :2, 4, 5] = True
        assert torch.equal(out.cpu().isnan(), wanted)


@pytest.mark.parametrize('form', FORMS)
def test_window_taps_run_by_row_then_column(form):
    key = torch.arange(9.0).view(1, 1, 3, 3)
    logits = call('window_similarity', form, (torch.ones(1, 1, 3, 3), key), (3,))
    assert logits[0, :, 1, 1].tolist() == list(range(9))
    assert logits[0, :, 0, 0].tolist() == [0, 0, 0, 0, 0, 1, 0, 3, 4]


@pytest.mark.parametrize('operator', POINT_OPERATORS)
def test_chunks_of_positions_change_nothing(operator, monkeypatch):
    """Several chunks, as for large maps, with a small one."""
    monkeypatch.setattr(eager, '_CHUNK_ELEMENTS', 50)
    assert_matches_oracle(operator, 'eager', Case((2, 3), (4, 5)))


@pytest.mark.parametrize('device', DEVICES)
@parametrize_pairs(operator=OPERATORS, form=FORMS, half=HALF, lower=range(3))
def test_autocast_takes_mixed_dtypes(operator, form, device, half, lower):
    """Similarity in float32, assembly in autocast's dtype; gradients in their inputs' dtypes."""
    tensors, options = make_inputs(operator, Case((4, 3), (7, 6)), half)
    dtypes = [half if i == lower else torch.float32 for i in range(len(tensors))]
    own = [t.to(device, dtype).requires_grad_() for t, dtype in zip(tensors, dtypes, strict=True)]
    with torch.autocast(device, half):
        out = call(operator, form, own, options)
    expected_dtype = torch.float32 if operator.endswith('similarity') else half
    assert out.dtype == expected_dtype
    oracle = [t.double().requires_grad_() for t in tensors]
    expected = getattr(reference, operator)(*oracle, *options)
    assert_close(out, expected, expected_dtype)

    upstream = torch.linspace(-1, 1, out.numel()).view(out.shape).to(half)
    grads = torch.autograd.grad(out, own, upstream.to(out))
    expected_grads = torch.autograd.grad(expected, oracle, upstream.double())
    for grad, wanted, dtype in zip(grads, expected_grads, dtypes, strict=True):
        assert grad.dtype == dtype
        # Rounded to autocast's dtype on the way, whatever the input's dtype.
        rounded = half if half in (dtype, expected_dtype) else dtype
        assert_close(grad, wanted, rounded)


@pytest.mark.parametrize('form', FORMS)
@pytest.mark.parametrize('operator', OPERATORS)
def test_autocast_leaves_float64_alone(operator, form):
    known = solve(operator, Case((4, 3), (7, 6)))
    with torch.autocast('cpu', torch.bfloat16):
        out = call(operator, form, known.tensors, known.options)
    assert_close(out, known.out, torch.float64)


@pytest.mark.parametrize('operator', OPERATORS)
def test_mixed_dtypes_are_refused_outside_autocast(operator):
    tensors, options = make_inputs(operator, Case(), torch.float32)
    with pytest.raises(TypeError, match='dtypes must agree outside autocast'):
        getattr(sapa_ops, operator)(tensors[0].bfloat16(), *tensors[1:], *options)
