"""Run-length codes as pycocotools writes them, and damaged ones."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sapa_mm.utils.run_lengths import bounds_of_runs, decode_all_counts

coco_mask = pytest.importorskip('pycocotools.mask')


@st.composite
def masks(draw):
    height, width = draw(st.integers(1, 40)), draw(st.integers(1, 40))
    rng = np.random.default_rng(draw(st.integers(0, 2**32)))
    share = draw(st.sampled_from([0, 0.02, 0.5, 1]))
    return np.asfortranarray(rng.random((height, width)) < share, np.uint8)


@given(st.lists(masks(), max_size=5))
def test_codes_and_bounds(found):
    decoded = decode_all_counts([coco_mask.encode(mask)['counts'].decode() for mask in found])
    bounds = bounds_of_runs(decoded, [len(mask) for mask in found])
    assert bounds.shape == (len(found), 4)
    for mask, counts, box in zip(found, decoded, bounds, strict=True):
        inside = np.repeat(np.arange(len(counts)) % 2, counts)
        assert inside.tolist() == mask.ravel(order='F').tolist()
        y, x = np.nonzero(mask)
        if len(x):
            assert box.tolist() == [x.min(), y.min(), x.max() + 1, y.max() + 1]
        else:
            assert np.isnan(box).all()


def test_long_runs():
    mask = np.zeros((3000, 4000), np.uint8, order='F')
    (counts,) = decode_all_counts([coco_mask.encode(mask)['counts'].decode()])
    assert counts.tolist() == [12_000_000]


@pytest.mark.parametrize('text', ['', 'P', '0P', 'a b', 'mask', 'é', '\ud800', '\0'])
def test_what_is_no_code(text):
    good = coco_mask.encode(np.ones((2, 3), np.uint8, order='F'))['counts'].decode()
    one, two, three = decode_all_counts([good, text, good])
    assert two is None
    assert one.tolist() == three.tolist() == [0, 6]
