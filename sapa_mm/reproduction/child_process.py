"""Processes that end with the one that started them, however it ends."""

import contextlib
import ctypes
import signal
import subprocess
import sys
from collections.abc import Iterator, Sequence

_PR_SET_PDEATHSIG = 1


@contextlib.contextmanager
def ending_with_parent(command: Sequence[str], **options) -> Iterator[subprocess.Popen]:
    """Starts a process for the time of a ``with`` block, which waits for its end.

    Args:
        command (Sequence[str]): The command line.
        **options: Of :class:`subprocess.Popen`.

    Yields:
        subprocess.Popen: The process. It is ended if the block fails.
    """
    process = subprocess.Popen(command, preexec_fn=_end_with_parent, **options)
    try:
        yield process
        process.wait()
    except BaseException:
        process.terminate()
        process.wait()
        raise


def _end_with_parent() -> None:
    """Lets the kernel end a child whose parent was killed; else it would train on unwatched."""
    if sys.platform == 'linux':
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)
