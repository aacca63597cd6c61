"""Files appear complete or not at all; places are looked at before the work."""

import os

import pytest

from sapa_mm.utils.whole_file import check_place, find_partial, whole_file, write_whole


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
    with pytest.raises(UnicodeEncodeError):
        write_whole(str(tmp_path / 'a.txt'), '\ud800')
    assert os.listdir(tmp_path) == ['a.txt']
    assert (tmp_path / 'a.txt').read_text() == 'before'


def test_places(tmp_path):
    file = tmp_path / 'file'
    file.touch()
    for path in (file, tmp_path / 'new' / 'a.txt', 'a.txt'):
        check_place(str(path), 'out')
    for path in (tmp_path, tmp_path / 'new' / 'newer', '.'):
        check_place(str(path), 'out', is_folder=True)
    with pytest.raises(OSError, match=f'out: {tmp_path} is a folder, name a file'):
        check_place(str(tmp_path), 'out')
    with pytest.raises(OSError, match=f'out: {file} is no folder'):
        check_place(str(file / 'a.txt'), 'out')
    with pytest.raises(OSError, match=f'out: {file} is no folder'):
        check_place(str(file), 'out', is_folder=True)
    # Not even root may write there.
    with pytest.raises(OSError, match='out: /proc cannot be written to'):
        check_place('/proc/new/a.txt', 'out')
