"""Scenes that the tests of this folder share."""

import pytest


@pytest.fixture(scope='session')
def scenes(tmp_path_factory):
    """The folder of a few scenes, and settings of a run on them."""
    from ..support.scenes import write_few_scenes

    root = tmp_path_factory.mktemp('scenes')
    return root, write_few_scenes(root)


@pytest.fixture(scope='session')
def options(scenes):
    """Settings of a run of two steps."""
    return scenes[1]
