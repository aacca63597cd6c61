"""Small data in the layout in which SegNet's authors publish CamVid."""

import numpy as np
from PIL import Image

SPLITS = ('train', 'val', 'test')


def write_camvid(root, count=2, size=(36, 48)):
    """Write photographs and label maps, each with all classes, 0 to 10, and void, 11."""
    rng = np.random.default_rng(0)
    for split in SPLITS:
        for index in range(count):
            labels = rng.permutation(np.arange(size[0] * size[1]) % 12).reshape(size)
            save(root / split / f'{split}_{index}.png', rng.integers(0, 256, (*size, 3)))
            save(root / f'{split}annot' / f'{split}_{index}.png', labels)
    return root


def save(path, values):
    """Save values in 0..255 as an image."""
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.asarray(values, np.uint8)).save(path)
