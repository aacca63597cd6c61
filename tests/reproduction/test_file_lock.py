"""The lock that keeps two processes from training one run."""

import subprocess
import sys

import pytest

from sapa_mm.reproduction.file_lock import LockTaken, file_lock, is_locked


def test_who_holds_the_lock(tmp_path):
    path = str(tmp_path / 'folder' / 'lock')
    assert not is_locked(path)
    with file_lock(path, wait=False) as file:
        assert is_locked(path)
        with pytest.raises(LockTaken, match='another process holds .*/folder/lock'):
            file_lock(path, wait=False).__enter__()
        heir = subprocess.Popen(
            [sys.executable, '-c', 'input()'], stdin=subprocess.PIPE, pass_fds=[file.fileno()]
        )
    assert is_locked(path)  # by the process that inherited it
    heir.communicate(b'\n')
    assert not is_locked(path)
    with file_lock(path):
        assert is_locked(path)
