"""Several nodes of torchrun: the first says in the shared folder what is run, the others follow.

What is to be run is known on the first node only: which rows are finished, and which fail before
their processes start. If the others went through the rows by themselves, two nodes would meet at
different rows, or wait for each other without end.
"""

import contextlib
import dataclasses
import json
import os
import threading
import time
import uuid
from collections.abc import Iterator

from ..utils.whole_file import whole_file
from .child_process import ending_with_parent
from .launcher import Launcher

_FILE = 'first_node.json'
_SECONDS_BETWEEN_BEATS = 2.0
_POLL_SECONDS = 0.2
#: So long may the first node be silent: a shared folder may be slow.
_PATIENCE_SECONDS = 600.0


@dataclasses.dataclass(frozen=True)
class Turn:
    """What the first node is at.

    Attributes:
        beat (str): Another one each time: what stays the same is left from a node that was killed.
        attempt (str): Name of the attempt; empty before the first.
        work_dir (str): Work directory of the run, from the folder of the results.
        is_over (bool): Whether there will be no more.
    """

    beat: str = ''
    attempt: str = ''
    work_dir: str = ''
    is_over: bool = False


class FirstNode:
    """Says what this node is at, for as long as a ``with`` block lasts.

    Args:
        out (str): Folder of the results, which all nodes share.
    """

    def __init__(self, out: str) -> None:
        self._out = out
        self._turn = Turn()
        self._lock = threading.Lock()
        self._end = threading.Event()
        self._thread = threading.Thread(target=self._beat, daemon=True)

    def __enter__(self) -> 'FirstNode':
        self._write()
        self._thread.start()
        return self

    def __exit__(self, *_) -> None:
        self._end.set()
        self._thread.join()
        self._write(is_over=True)

    def announce(self, work_dir: str) -> str:
        """Calls the other nodes to a run.

        Args:
            work_dir (str): The run's work directory.

        Returns:
            str: The attempt's name, by which the nodes' processes find each other.
        """
        attempt = uuid.uuid4().hex
        self._write(attempt=attempt, work_dir=os.path.relpath(work_dir, self._out))
        return attempt

    def _beat(self) -> None:
        while not self._end.wait(_SECONDS_BETWEEN_BEATS):
            # A shared folder may be out of reach for a while.
            with contextlib.suppress(OSError):
                self._write()

    def _write(self, **changes) -> None:
        with self._lock:
            self._turn = dataclasses.replace(self._turn, beat=uuid.uuid4().hex, **changes)
            text = json.dumps(dataclasses.asdict(self._turn))
            with whole_file(os.path.join(self._out, _FILE)) as path, open(path, 'w') as file:
                file.write(text)


def follow_first_node(out: str, launcher: Launcher, module: str) -> list[str]:
    """Takes part in what the first node runs, until it is through.

    Args:
        out (str): Folder of the results, which all nodes share.
        launcher (Launcher): How this node's processes are started.
        module (str): What they run, with the work directory as its argument.

    Returns:
        list[str]: What went wrong on this node, a line each.
    """
    print('Waiting for the first node (--node-rank 0)', flush=True)
    failures = []
    try:
        for turn in _turns(out):
            print(f'Taking part in {turn.work_dir}', flush=True)
            arguments = [os.path.join(out, turn.work_dir)]
            command = launcher.command(module, arguments, attempt=turn.attempt)
            with ending_with_parent(command) as process:
                code = process.wait()
            if code:
                failures.append(f'{turn.work_dir}: ended with exit code {code} on this node')
                print(f'  failed: {failures[-1]}', flush=True)
    except TimeoutError as error:
        failures.append(str(error))
    return failures


def _turns(out: str) -> Iterator[Turn]:
    """Each attempt once, as soon as it is seen that the first node is there."""
    seen, done = _read(out), ''
    heard = time.monotonic()
    while True:
        turn = _read(out)
        if turn is None or turn == seen:
            if time.monotonic() - heard > _PATIENCE_SECONDS:
                raise TimeoutError(
                    f'the first node (--node-rank 0) was silent for {_PATIENCE_SECONDS:.0f} s in '
                    f'{out}; start it with the same `out`, on a folder that both nodes share'
                )
            time.sleep(_POLL_SECONDS)
            continue
        seen = turn
        if turn.is_over:
            return
        if turn.attempt != done:
            done = turn.attempt
            yield turn
        heard = time.monotonic()


def _read(out: str) -> Turn | None:
    # A shared folder may be out of reach for a while.
    with contextlib.suppress(OSError), open(os.path.join(out, _FILE)) as file:
        return Turn(**json.load(file))
    return None
