"""What holds for every size, tried with random ones."""

from fractions import Fraction

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from sapa_ops.geometry import group_children, lowres_index, ungroup_children

from ..support.operators import (
    FORMS,
    LAYOUTS,
    OPERATORS,
    TOLERANCES,
    Case,
    assert_matches_oracle,
    axes,
    call,
    cases,
    make_inputs,
)
from ..support.pairs import in_both_tiers


@in_both_tiers
@pytest.mark.parametrize('operator', OPERATORS)
def test_all_forms_match_the_oracle(operator, examples):
    """Values and gradients, NaN and infinities too."""

    @settings(max_examples=examples)
    @given(cases(), st.sampled_from(list(TOLERANCES)), st.tuples(*[st.sampled_from(LAYOUTS)] * 4))
    def holds(case, dtype, layouts):
        for form in FORMS:
            assert_matches_oracle(operator, form, case, dtype, layouts=layouts)

    holds()


@in_both_tiers
@pytest.mark.parametrize('operator', OPERATORS)
def test_short_of_a_multiple_is_the_multiple_cropped(operator, examples):
    """Bit for bit: a backbone whose stride rounds up saw the same pixels."""
    sides = st.tuples(st.integers(1, 6), st.integers(1, 6))

    @settings(max_examples=examples)
    @given(sides, st.integers(1, 4), st.data())
    def holds(low, stride, data):
        whole = Case(low, (low[0] * stride, low[1] * stride), batch=1)
        # As many rows less as the low-res map has would be another stride's.
        height, width = (
            stride * side - data.draw(st.integers(0, min(stride, side) - 1)) for side in low
        )
        tensors, options = make_inputs(operator, whole, torch.float32)
        cropped = [t if i == 1 else t[..., :height, :width] for i, t in enumerate(tensors)]
        for form in FORMS:
            wanted = call(operator, form, tensors, options)[..., :height, :width]
            assert torch.equal(call(operator, form, cropped, options), wanted)

    holds()


@in_both_tiers
def test_lowres_index(examples):
    @settings(max_examples=4 * examples)
    @given(axes(60, 200), st.integers(1, 5))
    def holds(axis, refinement):
        low, high = axis
        index = lowres_index(low, high).tolist()
        assert sorted(set(index)) == list(range(low))
        assert index == sorted(index)

        strides = [s for s in range(1, high + 1) if -(-high // s) == low]
        centre = Fraction(low, high)
        if strides:
            assert index == [i // min(strides) for i in range(high)]
        else:
            assert index == [int((i + Fraction(1, 2)) * centre) for i in range(high)]
        refined = lowres_index(low, high, refinement=refinement)
        assert (refined // refinement).tolist() == index

    holds()


@in_both_tiers
def test_children_are_grouped_by_their_pixel(examples):
    @settings(max_examples=4 * examples)
    @given(axes(9, 30), axes(9, 30))
    def holds(rows, columns):
        (h, high_h), (w, high_w) = rows, columns
        parent = lowres_index(h, high_h)[:, None] * w + lowres_index(w, high_w)
        grouped = group_children(parent[None, None], h, w)
        pixel = torch.arange(h * w).view(1, 1, h, 1, w, 1)
        assert torch.equal(grouped, pixel.expand_as(grouped))

        feature = torch.arange(high_h * high_w).view(1, 1, high_h, high_w)
        grouped = group_children(feature, h, w)
        assert torch.equal(ungroup_children(grouped, high_h, high_w), feature)

    holds()
