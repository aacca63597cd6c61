"""What the checks of data say of a small data set of depth."""

import numpy as np
import pytest
from mmengine.config import Config
from PIL import Image

from sapa_mm.datasets.checks import check_data, inspect_data
from sapa_mm.engine.config import in_scope

from .tool_configs import DEPTH, write_config

#: The place of the loading step, and of a step that may be another.
LOAD, OTHER = 1, 3


def read(root, steps=None, **dataset):
    """Read the model and the training data of a config, with changes of the data."""
    cfg = Config.fromfile(write_config(root.parent / 'config.py', DEPTH, root))
    data = cfg.train_dataloader.dataset
    for key, value in dataset.items():
        data[key] = value
    for index, step in (steps or {}).items():
        data.pipeline[index] = {**data.pipeline[index], **step} if index == LOAD else step
    return Config({key: cfg[key] for key in ('default_scope', 'model', 'train_dataloader')})


def lines_of(root, *args, **options):
    """The lines on the training data; places are cut from the texts."""
    cfg = read(root, *args, **options)
    with in_scope(cfg):
        lines = [(line.kind, line.text.replace(f'{root}/', '')) for line in inspect_data(cfg)]
    start = 'train_dataloader.dataset'
    return [
        (kind, text.removeprefix(start).removeprefix(': '))
        for kind, text in lines
        if text.startswith(start)
    ]


def refuse(root, *args, **options):
    """The line with which a training is refused, the same as the report's first error."""
    cfg = read(root, *args, **options)
    with in_scope(cfg), pytest.raises(ValueError, match='dataset') as error:
        check_data(cfg, ['train'])
    lines = lines_of(root, *args, **options)
    first = next(text for kind, text in lines if kind == 'error')
    assert str(error.value).replace(f'{root}/', '').endswith(first)
    return first


def rewrite(root, change, count=4):
    """Change the first depth maps for training."""
    for path in sorted((root / 'annotations/train').iterdir())[:count]:
        values = change(np.asarray(Image.open(path)))
        Image.fromarray(np.ascontiguousarray(values)).save(path)
