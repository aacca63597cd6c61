"""The same function at every size: a map whose sides are rounded up is the beginning of the whole.

Backbones round odd sides up, so 12 rows of x go to 23 rows of the guide as they go to 24.
"""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from sapa_mm.upsamplers import UPSAMPLERS
from sapa_mm.upsamplers.resize import nearest_resize, whole_side

from ..support.pairs import in_both_tiers
from ..support.slow_upsamplers import whole_multiple
from ..support.upsamplers import ALL_TYPES, PEER_VARIANTS, make_inputs, make_upsampler

CROPPED_BILINEAR = ('bilinear', dict(crop=True))
CASES = [
    *ALL_TYPES.items(),
    *PEER_VARIANTS,
    ('sapa_d', dict(ALL_TYPES['sapa_d'], shared_offset=True)),
    ('sapa_d', dict(num_points=3, groups=2, guided=False)),
    CROPPED_BILINEAR,
]
# Their convolutions of the guide see its border: the last rows and columns differ.
AT_THE_BORDER = ('fade', 'index_net')
# Statistics of the whole guide; interpolation by size, as in mmseg. See the tests of the formulas.
OF_THE_SIZE = [('a2u', {}), ('bilinear', {})]
BY_TWO_ONLY = ('a2u', 'index_net')


def difference(kind, options, low, whole, size, scale_factor=2):
    """Largest difference from the whole map's output, cropped: everywhere, and inside.

    The guide is the crop of the whole map's.
    """
    channels = 2 * scale_factor**2 if options.get('style') == 'pl' else 4
    upsampler = make_upsampler(kind, channels, scale_factor=scale_factor, **options).eval()
    x, guide = make_inputs(upsampler, low, whole, batch=1)
    rows, columns = size
    expected = upsampler(x, guide)[:, :, :rows, :columns]
    error = (upsampler(x, guide[:, :, :rows, :columns]) - expected).abs()
    inside = error[:, :, : max(rows - 2, 0), : max(columns - 2, 0)]
    return error.max().item(), inside.max().item() if inside.numel() else 0.0


def test_table_of_types():
    """Every type at 12x19 -> 23x37 against the next even size, cropped; ``-s`` shows it."""
    lines = []
    for kind, options in CASES:
        everywhere, inside = difference(kind, options, (12, 19), (24, 38), (23, 37))
        lines.append(f'{kind:<14} {everywhere:8.1e} {inside:8.1e}  {options}')
        if (kind, options) in OF_THE_SIZE:
            assert inside > 1e-3, lines[-1]
            continue
        assert inside < 1e-12, lines[-1]
        assert (everywhere > 1e-3) == (kind in AT_THE_BORDER), lines[-1]
    print('\ntype           anywhere   inside  options', *lines, sep='\n')


def sides(scale_factor):
    """A low-res side, the stride that led to it, and by how much it was rounded up.

    From four pixels on, no second stride of up to four leads to the same side.
    """
    surplus = st.integers(0, 3)
    small = st.integers(1, 3 if scale_factor == 2 else 1)
    return st.one_of(
        st.tuples(small, st.just(scale_factor), surplus),
        st.tuples(st.integers(4, 7), st.integers(1, 4), surplus),
    )


@in_both_tiers
@pytest.mark.parametrize(
    ('kind', 'options', 'scale_factor'),
    [
        (kind, options, scale_factor)
        for kind, options in CASES
        if (kind, options) not in OF_THE_SIZE
        for scale_factor in ([2] if kind in BY_TWO_ONLY else [2, 3])
    ],
)
def test_any_stride(kind, options, scale_factor, examples):
    """Whatever the ratio, that of the upsampler or another, and each axis with its own."""

    @settings(max_examples=examples)
    @given(sides(scale_factor), sides(scale_factor))
    def holds(rows, columns):
        low, strides, surplus = zip(rows, columns, strict=True)
        if kind == 'nearest':
            strides = [min(stride, 2) for stride in strides]  # by size beyond, as the stock one
        whole = [side * stride for side, stride in zip(low, strides, strict=True)]
        size = [
            side - min(extra, stride - 1)
            for side, stride, extra in zip(whole, strides, surplus, strict=True)
        ]
        everywhere, inside = difference(kind, options, low, whole, size, scale_factor)
        assert (inside if kind in AT_THE_BORDER else everywhere) < 1e-12

    holds()


@given(low=st.integers(1, 60), high=st.integers(1, 200), scale_factor=st.integers(1, 4))
def test_whole_side(low, high, scale_factor):
    assert whole_side(low, high, scale_factor) == whole_multiple(low, high, scale_factor)


@given(low=st.integers(4, 9), stride=st.integers(1, 4), scale=st.integers(1, 4), cut=st.integers(0))
def test_a_shuffled_map_keeps_its_parents(low, stride, scale, cut):
    """What is taken from a map that a pixel shuffle has enlarged has the operators' parent."""
    high = low * stride - cut % stride
    parents = torch.arange(low).repeat_interleave(scale).view(1, 1, -1, 1).expand(-1, -1, -1, scale)
    taken = nearest_resize(parents, (high, 1), scale)
    assert taken.flatten().tolist() == [i // stride for i in range(high)]


def test_every_type_is_covered():
    assert {kind for kind, _ in CASES} == set(UPSAMPLERS)
