"""Inputs of the operator tests, and the oracle's results, with which every form is compared.

The oracle's loops are slow: its results are kept, for all tests that differ only in form, device or
memory layout.
"""

from dataclasses import dataclass, replace
from functools import cache

import pytest
import sapa_ops
import torch
from hypothesis import strategies
from sapa_ops import compiled, reference
from sapa_ops.checks import BORDERS
from torch.utils._python_dispatch import TorchDispatchMode

OPERATORS = ('window_similarity', 'window_assemble', 'point_similarity', 'point_assemble')
WINDOW = ('window_similarity', 'window_assemble', 'window_adjoint')
POINT = ('point_similarity', 'point_assemble', 'point_adjoint', 'point_gradients')
DIRECT = WINDOW + POINT  # of torch.ops.sapa_ops
FORMS = ('eager', 'compiled')
DEVICES = ('cpu', *(['cuda'] if torch.cuda.is_available() else []))

# (h, w), (H, W): the same size, exact multiples up to 4, multiples short of a row or column, other
# ratios, single pixels.
SIZES = [
    ((1, 1), (1, 1)),
    ((1, 1), (2, 3)),
    ((3, 5), (3, 5)),
    ((2, 3), (4, 6)),
    ((3, 2), (9, 6)),
    ((2, 2), (8, 8)),
    ((2, 3), (6, 12)),
    ((4, 3), (7, 5)),
    ((5, 4), (7, 9)),
    ((7, 2), (9, 7)),
    ((6, 1), (11, 4)),
    ((2, 5), (5, 12)),
    ((2, 22), (3, 43)),
    ((2, 12), (3, 23)),
    ((5, 7), (13, 7)),
    ((1, 12), (2, 20)),
]

# Against the float64 oracle, for values up to 1. Half types are computed in float32 and rounded
# once: one unit in the last place.
TOLERANCES = {
    torch.float64: 1e-10,
    torch.float32: 1e-5,
    torch.float16: 2**-10,
    torch.bfloat16: 2**-7,
}
HALF = (torch.float16, torch.bfloat16)

# Of gradients from run to run, since on a GPU threads add in no fixed order.
NONDETERMINISM = {'cpu': 0.0, 'cuda': 1e-10}

# Memory layouts.
LAYOUTS = (
    'contiguous',
    'channels_last',
    'sliced',
    'cropped',
    'channel_slice',
    'transposed',
    'unaligned',
)


@dataclass(frozen=True)
class Case:
    """Sizes and options of one call.

    Attributes:
        low (tuple[int, int]): (h, w).
        high (tuple[int, int]): (H, W).
        batch (int): N.
        channels (int): Of all groups.
        kernel_size (int): K, of the window operators.
        groups (int): G.
        points (int): S, of the point operators.
        softmax (bool): Of the similarities.
        border (str): Of the window operators.
        offsets (str): 'random', which reaches well outside, 'borders' or 'next to borders'.
        constant (tuple[int, ...]): Dimensions along which no input changes, to be expanded.
        upstream (str): 'random' gradients of the output, or 'ones', as ``out.sum()`` has them.
        seed (int): Of all values.
        strays (tuple[tuple[int, str], ...]): Which tensor, by its index (the gradient of the output
            comes last), has which number, 'nan', 'inf' or '-inf', at a random place.
    """

    low: tuple[int, int] = (3, 4)
    high: tuple[int, int] = (6, 8)
    batch: int = 2
    channels: int = 6
    kernel_size: int = 3
    groups: int = 2
    points: int = 3
    softmax: bool = False
    border: str = 'zeros'
    offsets: str = 'random'
    constant: tuple[int, ...] = ()
    upstream: str = 'random'
    seed: int = 0
    strays: tuple[tuple[int, str], ...] = ()


def with_room(case):
    """The case, on larger maps if its window is to be shifted onto them."""
    more = case.kernel_size - 1 if case.border == 'shift' else 0
    low, high = (tuple(side + more for side in size) for size in (case.low, case.high))
    return replace(case, low=low, high=high)


@strategies.composite
def axes(draw, most_low=4, most_high=9):
    """(low, high), the sizes of an axis."""
    low = draw(strategies.integers(1, most_low))
    return low, draw(strategies.integers(low, most_high))


@strategies.composite
def cases(draw):
    """Small cases of every kind."""
    (low_h, high_h), (low_w, high_w) = draw(axes()), draw(axes())
    groups = draw(strategies.integers(1, 3))
    border = draw(strategies.sampled_from(BORDERS))
    stray = strategies.tuples(
        strategies.integers(0, 3), strategies.sampled_from(['nan', 'inf', '-inf'])
    )
    case = Case(
        low=(low_h, low_w),
        high=(high_h, high_w),
        batch=draw(strategies.integers(1, 2)),
        channels=groups * draw(strategies.sampled_from([1, 2, 3, 8, 17])),
        kernel_size=draw(strategies.sampled_from([1, 3] if border == 'shift' else [1, 3, 5])),
        groups=groups,
        points=draw(strategies.integers(1, 3)),
        softmax=draw(strategies.booleans()),
        border=border,
        offsets=draw(strategies.sampled_from(['random', 'borders'])),
        seed=draw(strategies.integers(0, 9)),
        strays=tuple(draw(strategies.lists(stray, max_size=3))),
    )
    return with_room(case)


@dataclass(frozen=True)
class Solution:
    """A case's inputs, rounded to the dtype, and the oracle's results in float64."""

    tensors: tuple[torch.Tensor, ...]
    options: tuple[int | str, ...]
    out: torch.Tensor
    upstream: torch.Tensor
    grads: tuple[torch.Tensor, ...]


def make_inputs(operator, case, dtype=torch.float64):
    """Make tensors and options of an operator; values are already rounded to dtype."""
    tensors, options = _make_inputs(operator, case, dtype)
    _put_strays(tensors, case)
    return tensors, options


def _make_inputs(operator, case, dtype):
    n, c, g, k, s = case.batch, case.channels, case.groups, case.kernel_size, case.points
    rand = _random(case, dtype)
    if operator == 'window_similarity':
        return (rand(n, c, *case.high), rand(n, c, *case.low)), (k, g, case.softmax, case.border)
    if operator == 'window_assemble':
        return (rand(n, g * k * k, *case.high), rand(n, c, *case.low)), (k, g, case.border)
    if operator == 'point_similarity':
        maps = rand(n, c, *case.high), rand(n, c, *case.low)
        return (*maps, make_offset(case, dtype)), (g, case.softmax)
    return (rand(n, g, s, *case.high), rand(n, c, *case.low), make_offset(case, dtype)), ()


def _put_strays(tensors, case, first=0):
    """Put a case's strays into the tensors, whose indices begin at `first`."""
    generator = torch.Generator().manual_seed(case.seed)
    for index, number in case.strays:
        if 0 <= index - first < len(tensors):
            flat = tensors[index - first].view(-1)
            flat[torch.randint(len(flat), (), generator=generator)] = float(number)


def make_offset(case, dtype):
    """(N, G*S*2, H, W)."""
    shape = (case.batch, case.groups * case.points * 2, *case.high)
    if case.offsets == 'random':
        reach = (1, 1) if case.constant else (2 * case.low[1], 2 * case.low[0])
        reach = torch.tensor(reach, dtype=dtype).repeat(case.groups * case.points)
        return _random(case, dtype)(*shape) * reach.view(-1, 1, 1)
    offset = torch.empty(shape, dtype=dtype).unflatten(1, (case.groups, case.points, 2))
    for axis in (0, 1):  # x, y
        low, high = case.low[1 - axis], case.high[1 - axis]
        index = torch.tensor([reference._low(i, low, high) for i in range(high)], dtype=dtype)
        borders = _borders(case.offsets, low, index)
        for g in range(case.groups):
            for s in range(case.points):
                # The axes go through the borders at different steps.
                border = borders[(s * (axis + 1) + g) % len(borders)]
                offset[:, g, s, axis] = border if axis == 0 else border[:, None]
    return offset.flatten(1, 3)


@cache
def solve(operator, case, dtype=torch.float64):
    """Compute the oracle's values and gradients, once for each operator, case and dtype."""
    tensors, options = make_inputs(operator, case, dtype)
    own = [t.double().requires_grad_() for t in tensors]
    out = getattr(reference, operator)(*own, *options)
    rand = _random(replace(case, seed=case.seed + 1), dtype)
    upstream = rand(*out.shape) if case.upstream == 'random' else torch.ones(out.shape, dtype=dtype)
    _put_strays([upstream], case, first=len(tensors))
    if case.batch == 0 or not out.requires_grad:  # all points are outside
        return Solution(tensors, options, out, upstream, [torch.zeros_like(t) for t in own])
    grads = torch.autograd.grad(out, own, upstream.double())
    # (The softmax of a single tap does not change.)
    assert case.softmax or all(t.any() for t in (out, *grads)), 'a case of zeros shows nothing'
    return Solution(tensors, options, out.detach(), upstream, grads)


def direct(operator, case, dtype=torch.float64):
    """Arguments of an operator of torch.ops.sapa_ops by name, and the oracle's results.

    All operators of a kind are derivatives of the same sum, so the oracle of assembly covers them.
    """
    known = solve('window_assemble' if operator in WINDOW else 'point_assemble', case, dtype)
    (weight, low, *offset), high = known.tensors, known.upstream
    weight_grad, low_grad, *offset_grad = known.grads
    sizes = dict(height=case.low[0], width=case.low[1])
    if operator in WINDOW:
        options = dict(kernel_size=case.kernel_size, groups=case.groups, border=case.border)
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


def run_direct(operator, arguments, namespace='sapa_ops'):
    """The results of an operator of torch.ops.sapa_ops, always as a tuple."""
    out = getattr(getattr(torch.ops, namespace), operator)(**arguments)
    return out if isinstance(out, tuple) else (out,)


def on_tensors(arguments, function):
    """The arguments with a function applied to the tensors."""
    return {
        name: function(value) if torch.is_tensor(value) else value
        for name, value in arguments.items()
    }


def only_tensors(arguments):
    """The tensors among the arguments."""
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


def call(operator, form, tensors, options):
    """Call the public operator in one form; skip if the build was chosen without that form."""
    skip_where_not_built(form, tensors[0].device)
    with sapa_ops.use_backend(form):
        return getattr(sapa_ops, operator)(*tensors, *options)


def skip_where_not_built(form, device='cpu'):
    """Skip where SAPA_OPS_BUILD or torch's age is why there is no such form; else it is an error.

    Args:
        form (str): 'eager' or 'compiled'.
        device (str): Where it would run. Defaults to 'cpu'.
    """
    why = compiled.why_not(torch.zeros(1, device=device)) if form == 'compiled' else None
    if why is not None and ('SAPA_OPS_BUILD' in why or 'it needs torch' in why):
        pytest.skip(why)


def assert_matches_oracle(
    operator, form, case, dtype=torch.float64, device='cpu', layouts=('contiguous',) * 4
):
    """Compare values and gradients with the oracle's.

    Args:
        operator (str): One of ``OPERATORS``.
        form (str): One of ``FORMS``.
        case (Case): What to compute.
        dtype (torch.dtype): Of the inputs. Defaults to float64.
        device (str): Where to compute. Defaults to 'cpu'.
        layouts (tuple[str, ...]): Of the inputs, and last of the gradient of the output. Defaults
            to all contiguous.
    """
    known = solve(operator, case, dtype)
    *layouts, upstream_layout = layouts[-len(known.tensors) - 1 :]
    tensors = [
        relayout(t.to(device), layout).detach().requires_grad_()
        for t, layout in zip(known.tensors, layouts, strict=True)
    ]
    out = call(operator, form, tensors, known.options)
    assert out.dtype == dtype
    assert out.device == tensors[0].device
    assert_close(out, known.out, dtype)

    if case.upstream == 'ones':
        grads = torch.autograd.grad(out.sum(), tensors)
    else:
        upstream = relayout(known.upstream.to(device), upstream_layout)
        grads = torch.autograd.grad(out, tensors, upstream)
    for grad, wanted in zip(grads, known.grads, strict=True):
        assert grad.dtype == dtype
        if case.strays:  # of infinities, the order of a sum makes one or NaN
            grad, wanted = (t.where(t.isfinite(), torch.nan) for t in (grad, wanted))
        assert_close(grad, wanted, dtype, from_rounded=case.softmax)


def assert_close(actual, wanted, dtype, from_rounded=False):
    """Compare what a form computed in dtype with the oracle's result.

    Args:
        actual (Tensor): The form's.
        wanted (Tensor): The oracle's.
        dtype (torch.dtype): The form's.
        from_rounded (bool): Whether it was computed from what another operator had rounded, as the
            gradient of softmax is from the weights. Defaults to False.
    """
    half = dtype in HALF
    tolerance = TOLERANCES[dtype if from_rounded or not half else torch.float32]
    # A sum of many terms: the error scales with the largest.
    scale = max([1.0, *wanted.detach().abs().flatten()[wanted.isfinite().flatten()].tolist()])
    torch.testing.assert_close(
        actual.detach().cpu().double(),
        wanted.detach(),
        atol=tolerance * scale,
        rtol=TOLERANCES[dtype] / 2 if half else 0,  # rounding to the nearest
        equal_nan=True,
    )


def relayout(tensor, layout):
    """Copy to another memory layout, with NaN in the rest of its memory."""
    if layout == 'expanded':
        constant = [d for d in range(tensor.dim()) if _is_constant(tensor, d)]
        assert constant, 'nothing to expand'
        shape = tensor.shape
        for d in constant:
            tensor = tensor.narrow(d, 0, 1)
        return tensor.contiguous().expand(shape)
    if tensor.dim() == 5:  # Groups and points, as channels of a map.
        return relayout(tensor.flatten(1, 2), layout).unflatten(1, tensor.shape[1:3])
    *outer, height, width = tensor.shape
    if layout == 'channels_last':
        return tensor.contiguous(memory_format=torch.channels_last)
    if layout == 'sliced':
        return _embedded(tensor, (*outer, height, 2 * width), lambda t: t[..., ::2])
    if layout == 'cropped':
        larger = (*outer, height + 2, width + 3)
        return _embedded(tensor, larger, lambda t: t[..., 1 : 1 + height, 2 : 2 + width])
    if layout == 'channel_slice':
        n, c = outer
        whole = torch.full((n, height, width, c + 5), torch.nan).to(tensor).permute(0, 3, 1, 2)
        return whole[:, 1 : 1 + c].copy_(tensor)
    if layout == 'transposed':
        return tensor.mT.contiguous().mT
    if layout == 'unaligned':
        return _embedded(tensor, (tensor.numel() + 1,), lambda t: t[1:].view(tensor.shape))
    return tensor.contiguous()


def _embedded(tensor, shape, view):
    return view(torch.full(shape, torch.nan).to(tensor)).copy_(tensor)


def _is_constant(tensor, dim):
    return tensor.shape[dim] > 1 and torch.equal(tensor, tensor.narrow(dim, 0, 1).expand_as(tensor))


def _random(case, dtype):
    generator = torch.Generator().manual_seed(case.seed)

    def rand(*shape):
        drawn = [1 if d in case.constant else size for d, size in enumerate(shape)]
        # Scaled so that no sum over channels or taps leaves the range of float16.
        values = torch.randn(drawn, generator=generator, dtype=torch.float64) * 0.5
        return values.to(dtype).expand(shape).contiguous()

    return rand


def _borders(kind, size, index):
    """List offsets that move each position of an axis to a border, or next to one."""
    if kind == 'borders':
        ends = torch.tensor([-1e30, 1e30, -torch.inf, torch.inf]).to(index)
        near = [target - index for target in (-1, 0, size - 1, size, -0.5, size - 0.5)]
        return [*near, *(end.expand_as(index) for end in ends)]
    assert kind == 'next to borders'
    up, down = torch.tensor(torch.inf).to(index), torch.tensor(-torch.inf).to(index)
    return [
        torch.nextafter(target - index, direction)
        for target in (-1, size)
        for direction in (up, down)
    ]
