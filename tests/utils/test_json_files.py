"""JSON files that cannot be read are named, with the argument that they came from."""

import pytest

from sapa_mm.utils.json_files import read_json


def test_read(tmp_path):
    (tmp_path / 'a.json').write_text('{"a": [1]}')
    assert read_json(str(tmp_path / 'a.json'), 'metrics') == {'a': [1]}


@pytest.mark.parametrize('content', [b'{"a": [1', b'', b'\xff\xfe{}', b'[' * 100_000])
def test_damaged(tmp_path, content):
    path = tmp_path / 'a.json'
    path.write_bytes(content)
    with pytest.raises(ValueError, match=f'metrics: {path} is not a complete JSON file'):
        read_json(str(path), 'metrics')


def test_missing(tmp_path):
    with pytest.raises(FileNotFoundError, match='metrics: .* is not a file'):
        read_json(str(tmp_path / 'a.json'), 'metrics')
    with pytest.raises(FileNotFoundError, match='is not a file'):
        read_json(str(tmp_path), 'metrics')
