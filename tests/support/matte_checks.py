"""What the checks of data say of a small data set of mattes."""

import numpy as np
import pytest
from mmengine.config import Config
from PIL import Image

from sapa_mm.datasets.checks import check_data, inspect_data
from sapa_mm.engine.config import in_scope

from .tool_configs import MATTING, write_config

TRAIN, VAL = 'train_dataloader.dataset', 'val_dataloader.dataset'


def read(root, settings=None):
    """Read the config, with changes."""
    cfg = Config.fromfile(write_config(root.parent / 'config.py', MATTING, root))
    cfg.merge_from_dict(settings or {})
    return cfg


def lines_of(root, settings=None):
    """The lines on the data, the folder cut from the texts."""
    cfg = read(root, settings)
    with in_scope(cfg):
        return [(line.kind, line.text.replace(f'{root}/', '')) for line in inspect_data(cfg)]


def refuse(root, settings=None):
    """The line with which a run is refused, the same as the report's first error."""
    cfg = read(root, settings)
    with in_scope(cfg), pytest.raises(ValueError, match='data|_evaluator|model') as error:
        check_data(cfg, ['train', 'val'])
    first = next(text for kind, text in lines_of(root, settings) if kind == 'error')
    assert str(error.value).replace(f'{root}/', '') == first
    return first


def notes(root, settings=None):
    """The notes on data without errors."""
    lines = lines_of(root, settings)
    assert 'error' not in dict(lines)
    return [text for kind, text in lines if kind == 'note']


def rewrite(root, folder, change, count=4):
    """Change the first images of a folder."""
    for path in sorted((root / folder).iterdir())[:count]:
        values = change(np.asarray(Image.open(path)))
        Image.fromarray(np.ascontiguousarray(values)).save(path)
