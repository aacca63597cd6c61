import pytest


@pytest.fixture(scope='package')
def scenes(tmp_path_factory):
    """Two scenes for training and two for validation."""
    from sapa_mm.datasets import write_scenes

    root = tmp_path_factory.mktemp('scenes')
    write_scenes(root, num_train=2, num_val=2, size=(70, 57))
    return root
