"""Drawing the same each time, without a trace."""

import numpy as np
import pytest

from sapa_mm.utils.seeding import seeded


def test_same_draws_and_the_same_state_afterwards():
    draw = np.random.randint
    before = np.random.get_state()[1].copy()  # noqa: NPY002
    draws = []
    for _ in range(2):
        with seeded(3):
            draws.append(draw(2**31, size=4).tolist())
    with pytest.raises(KeyError), seeded():
        raise KeyError
    assert draws[0] == draws[1]
    assert (np.random.get_state()[1] == before).all()  # noqa: NPY002
