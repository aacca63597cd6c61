"""Files appear complete or not at all; places are checked first; damaged JSON files are named."""

import os
import re

import pytest

from sapa_mm.utils.files import check_writable, find_partial, read_json, whole_file, write_whole


def test_a_file_appears_once_it_is_complete(tmp_path):
    path = tmp_path / 'new' / 'a.txt'
    with whole_file(str(path)) as partial:
        assert partial.endswith('.txt')
        with open(partial, 'w') as file:
            file.write('text')
        assert not path.exists()
        assert [str(left) for left in find_partial(path)] == [partial]
    assert path.read_text() == 'text'
    assert os.listdir(path.parent) == ['a.txt']


def test_nothing_stays_after_an_error(tmp_path):
    write_whole(str(tmp_path / 'a.txt'), 'before')
    with pytest.raises(TypeError):
        write_whole(str(tmp_path / 'a.txt'), 5)
    assert os.listdir(tmp_path) == ['a.txt']
    assert (tmp_path / 'a.txt').read_text() == 'before'


def test_what_is_no_text_is_escaped(tmp_path):
    write_whole(tmp_path / 'a.txt', 'é\udcff')
    assert (tmp_path / 'a.txt').read_bytes() == 'é\\udcff'.encode()


def test_places(tmp_path):
    file = tmp_path / 'file'
    file.touch()
    for path in (file, tmp_path / 'new' / 'a.txt', 'a.txt'):
        check_writable(str(path), 'out')
    for path in (tmp_path, tmp_path / 'new' / 'newer', '.'):
        check_writable(str(path), 'out', is_folder=True)
    with pytest.raises(OSError, match=f'out: {tmp_path} is a folder, name a file'):
        check_writable(str(tmp_path), 'out')
    with pytest.raises(OSError, match=f'out: {file} is not a folder'):
        check_writable(str(file / 'a.txt'), 'out')
    with pytest.raises(OSError, match=f'out: {file} is not a folder'):
        check_writable(str(file), 'out', is_folder=True)
    # Not even root may write there.
    with pytest.raises(OSError, match='out: /proc cannot be written to'):
        check_writable('/proc/new/a.txt', 'out')


def test_json(tmp_path):
    (tmp_path / 'a.json').write_text('{"a": [1]}')
    assert read_json(str(tmp_path / 'a.json'), 'metrics') == {'a': [1]}


@pytest.mark.parametrize('content', [b'{"a": [1', b'', b'\xff\xfe{}', b'[' * 100_000])
def test_damaged_json(tmp_path, content):
    path = tmp_path / 'a.json'
    path.write_bytes(content)
    with pytest.raises(ValueError, match=f'metrics: {path} is not a complete JSON file'):
        read_json(str(path), 'metrics')


@pytest.mark.parametrize(
    ('content', 'message'),
    [
        (b'', 'is not a complete JSON file (it is empty); copy or download it again'),
        (b'\x1f\x8b\x08', 'is not a JSON file but compressed (gzip); unpack it'),
        (b'PK\x03\x04', 'is not a JSON file but a zip archive; unpack it'),
        (
            b'version https://git-lfs.github.com/spec/v1',
            'is not a JSON file but a pointer of Git LFS',
        ),
    ],
)
def test_what_is_no_json(tmp_path, content, message):
    path = tmp_path / 'a.json'
    path.write_bytes(content)
    with pytest.raises(ValueError, match=re.escape(f'metrics: {path} {message}')):
        read_json(str(path), 'metrics')


def test_json_of_other_programs(tmp_path):
    """With a byte-order mark; objects may be replaced as they are read."""
    path = tmp_path / 'a.json'
    path.write_bytes(b'\xef\xbb\xbf{"a": {"b": 1}}')
    assert read_json(str(path), 'metrics') == {'a': {'b': 1}}
    assert read_json(str(path), 'metrics', lambda entry: list(entry)) == ['a']


def test_missing_json(tmp_path):
    (tmp_path / 'link.json').symlink_to('gone.json')
    with pytest.raises(FileNotFoundError, match='json is a link to gone.json, which is not a file'):
        read_json(str(tmp_path / 'link.json'), 'metrics')
    with pytest.raises(FileNotFoundError, match='metrics: .* is not a file'):
        read_json(str(tmp_path / 'a.json'), 'metrics')
    with pytest.raises(FileNotFoundError, match='is not a file'):
        read_json(str(tmp_path), 'metrics')
