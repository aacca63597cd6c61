"""Two commands at once that need the same scenes."""

import threading
import time

import pytest

pytest.importorskip('mmengine')

from sapa_mm.reproduction import scenes
from sapa_mm.reproduction.scenes import make_missing_scenes


def test_one_writes_and_the_other_waits(tmp_path, monkeypatch):
    root, written = tmp_path / 'scenes', []

    def write(data_root):
        written.append(data_root)
        time.sleep(0.2)
        root.mkdir()
        (root / 'scenes.json').write_text('{}')

    monkeypatch.setitem(scenes.WRITERS, 'scenes', write)
    threads = [threading.Thread(target=make_missing_scenes, args=[str(root)]) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert written == [str(root)]
