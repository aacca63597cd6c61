"""Arrays of whatever kind as numpy's."""

from typing import Any

import numpy as np


def to_numpy(array: Any) -> np.ndarray:
    """A tensor, an array, or mmdet's masks (N, H, W), as a numpy array."""
    if hasattr(array, 'to_ndarray'):
        return array.to_ndarray()
    return array if isinstance(array, np.ndarray) else array.detach().cpu().numpy()
