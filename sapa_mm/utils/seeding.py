"""Random numbers of numpy that are the same each time."""

import contextlib
from collections.abc import Iterator

import numpy as np


@contextlib.contextmanager
def seeded(seed: int = 0) -> Iterator[None]:
    """Seeds numpy's global generator for a ``with`` block; its state is as before afterwards."""
    state = np.random.get_state()  # noqa: NPY002
    np.random.seed(seed)  # noqa: NPY002
    try:
        yield
    finally:
        np.random.set_state(state)  # noqa: NPY002
