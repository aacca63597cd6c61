"""Small data sets of matting."""

import numpy as np
from PIL import Image


def write_plain(root, count=3, backgrounds=2, size=(40, 50), kind=''):
    """Write ``fg/``, ``alpha/`` and ``bg/`` into a folder; the alpha is a blurred disk.

    ``kind`` is a folder in between, such as 'Other/'.
    """
    rng = np.random.default_rng(count)
    y, x = np.mgrid[: size[0], : size[1]]
    for index in range(count):
        save(root / f'{kind}fg/f{index}.png', rng.integers(0, 256, (*size, 3)))
        distance = np.hypot(y - size[0] / 2, x - size[1] / 2 + index)
        save(root / f'{kind}alpha/f{index}.png', (15 - distance) * 60)
    for index in range(backgrounds):
        save(root / f'bg/b{index}.png', rng.integers(0, 256, (30, 60 + index, 3)))
    return root


def save(path, values):
    """Save values, cut to 0..255, as an image."""
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.clip(values, 0, 255).astype(np.uint8)).save(path)
