"""Fixtures of the tests of the pictures."""

import pytest


@pytest.fixture(scope='session')
def scenes(tmp_path_factory):
    """A folder of two scenes to train on and two to validate on, 70 x 90 pixels."""
    from sapa_mm.datasets import write_scenes

    root = tmp_path_factory.mktemp('visualization') / 'scenes'
    write_scenes(root, num_train=2, num_val=2, size=(70, 90))
    return root


@pytest.fixture
def options(scenes):
    """Settings that point configs at the scenes."""
    return {'val_dataloader.dataset.data_root': str(scenes)}
