"""What all tests share."""

import gc

import pytest
from hypothesis import settings

# The same examples in every run, so that a failure comes back; `in_both_tiers` has more.
settings.register_profile('few', derandomize=True, deadline=None, max_examples=25)
settings.load_profile('few')


def pytest_collection_finish():
    """Leave what is imported out of garbage collection: mmengine collects for each dataset, and to
    look at all modules of torch and the hosts takes longer than to make it."""
    gc.freeze()


@pytest.fixture(autouse=True)
def unformatted_configs(monkeypatch):
    """Let mmengine write configs as they are: to format one takes longer than a step of training,
    and it does so four times a run."""
    try:
        from yapf.yapflib import yapf_api
    except ImportError:
        return
    monkeypatch.setattr(yapf_api, 'FormatCode', lambda text, **_: (text, True))


@pytest.fixture
def own_loaders(monkeypatch):
    """Put mmengine's loaders of checkpoints back after a test that replaces them."""
    from mmengine.runner import CheckpointLoader

    monkeypatch.setattr(CheckpointLoader, '_schemes', CheckpointLoader._schemes.copy())


@pytest.fixture
def safe_loading(own_loaders):
    """Load checkpoints as in a process of one of our tools."""
    from sapa_mm.engine import install_safe_loading

    install_safe_loading()
