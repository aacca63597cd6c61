import pytest

from ...support.tool_configs import write_mattes, write_nyu


@pytest.fixture
def root(tmp_path):
    """The folder of a small data set of depth for mmseg."""
    write_nyu(tmp_path / 'data')
    return tmp_path / 'data'


@pytest.fixture
def mattes(tmp_path):
    """The folder of a small data set of mattes."""
    write_mattes(tmp_path / 'mattes')
    return tmp_path / 'mattes'
