import pytest


@pytest.fixture(scope='package')
def scenes(tmp_path_factory):
    """Two scenes for training and two for validation."""
    from sapa_mm.datasets import write_scenes

    root = tmp_path_factory.mktemp('scenes')
    write_scenes(root, num_train=2, num_val=2, size=(70, 57))
    return root


@pytest.fixture(scope='package')
def rooms(tmp_path_factory):
    """Two rooms for training and two for testing."""
    from sapa_mm.datasets import write_rooms

    root = tmp_path_factory.mktemp('rooms')
    write_rooms(root, num_train=2, num_val=2, size=(70, 57))
    return root


@pytest.fixture(scope='package')
def mattes(tmp_path_factory):
    """Two mattes for training and two for testing."""
    from sapa_mm.datasets import write_mattes

    root = tmp_path_factory.mktemp('mattes')
    write_mattes(root, num_train=2, num_val=2, size=(70, 57))
    return root
