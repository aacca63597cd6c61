"""What all tests share."""

import pytest


@pytest.fixture(autouse=True)
def unformatted_configs(monkeypatch):
    """Let mmengine write configs as they are: to format one takes longer than a step of training,
    and it does so four times a run."""
    try:
        from yapf.yapflib import yapf_api
    except ImportError:
        return
    monkeypatch.setattr(yapf_api, 'FormatCode', lambda text, **_: (text, True))
