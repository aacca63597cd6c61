"""Nodes that follow the first one, without torchrun."""

import dataclasses
import json
import sys
import threading
import time

import pytest

pytest.importorskip('mmengine')

from sapa_mm.reproduction import nodes
from sapa_mm.reproduction.launcher import Launcher
from sapa_mm.reproduction.nodes import FirstNode, Turn, follow_first_node


@dataclasses.dataclass(frozen=True)
class Recorder(Launcher):
    """Notes in a file what is started; fails for the run 'b'."""

    log: str = ''

    def command(self, module, arguments, attempt=''):
        code = (
            f'open({self.log!r}, "a").write("{arguments[0]} {attempt}\\n"); '
            f'raise SystemExit({arguments[0]!r}.endswith("b"))'
        )
        return [sys.executable, '-c', code]


@pytest.fixture(autouse=True)
def _quick(monkeypatch):
    monkeypatch.setattr(nodes, '_SECONDS_BETWEEN_BEATS', 0.05)
    monkeypatch.setattr(nodes, '_POLL_SECONDS', 0.01)


def lines_of(path, count):
    deadline = time.monotonic() + 60
    while not path.exists() or len(path.read_text().splitlines()) < count:
        assert time.monotonic() < deadline
        time.sleep(0.01)
    return path.read_text().splitlines()


def test_another_node_runs_what_the_first_says(tmp_path):
    log, failures = tmp_path / 'log', []
    # From a first node that was killed.
    stale = Turn('beat', 'stale', 'a')
    (tmp_path / 'first_node.json').write_text(json.dumps(dataclasses.asdict(stale)))
    launcher = Recorder(log=str(log))
    thread = threading.Thread(
        target=lambda: failures.extend(follow_first_node(str(tmp_path), launcher, 'm'))
    )
    thread.start()
    time.sleep(0.3)
    expected = []
    with FirstNode(str(tmp_path)) as first:
        # The first node tries 'b' twice, and none of the rows between.
        for number, name in enumerate('abbc', 1):
            expected.append(f'{tmp_path}/{name} {first.announce(str(tmp_path / name))}')
            assert lines_of(log, number) == expected
    thread.join(60)
    assert not thread.is_alive()
    assert failures == ['b: ended with exit code 1 on this node'] * 2
    assert len(set(expected)) == 4


def test_a_silent_first_node(tmp_path, monkeypatch):
    monkeypatch.setattr(nodes, '_PATIENCE_SECONDS', 0.1)
    (failure,) = follow_first_node(str(tmp_path), Launcher(), 'm')
    assert failure.startswith('the first node (--node-rank 0) was silent for 0 s in ')
