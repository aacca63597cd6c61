"""Two commands at once that need the same data."""

import threading
import time

import pytest

pytest.importorskip('mmengine')

from sapa_mm.reproduction import generated_data
from sapa_mm.reproduction.generated_data import make_missing_data


def test_one_writes_and_the_other_waits(tmp_path, monkeypatch):
    root, written = tmp_path / 'scenes', []

    def write(data_root):
        written.append(data_root)
        time.sleep(0.2)
        root.mkdir()
        (root / 'scenes.json').write_text('{}')

    monkeypatch.setitem(generated_data.WRITERS, 'scenes', write)
    threads = [
        threading.Thread(target=make_missing_data, args=[str(root), 'scenes']) for _ in range(3)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert written == [str(root)]
