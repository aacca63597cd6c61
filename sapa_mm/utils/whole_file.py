"""Files that appear complete or not at all."""

import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def whole_file(path: str) -> Iterator[str]:
    """Gives a place to write a file to, from where it is moved once it is complete.

    Args:
        path (str): Where the file goes; its folder is made if missing.

    Yields:
        str: Where to write, beside it and with the same suffix.
    """
    os.makedirs(os.path.dirname(path) or '.', exist_ok=True)
    folder, name = os.path.split(path)
    root, suffix = os.path.splitext(name)
    # Two threads or processes may write one file at a time.
    # What a kill leaves behind is hidden.
    partial = f'.{root}.{os.getpid()}-{threading.get_ident()}.partial{suffix}'
    partial = os.path.join(folder, partial)
    try:
        yield partial
        os.replace(partial, path)
    finally:
        if os.path.exists(partial):
            os.remove(partial)


def check_place(path: str, name: str) -> None:
    """Checks that a file can be written to a path, before it is made. Nothing is written.

    Args:
        path (str): Where the file is to go.
        name (str): What error messages call it.

    Raises:
        OSError: If the path is a folder, or no file can be written there.
    """
    if os.path.isdir(path):
        raise OSError(f'{name}: {path} is a folder, name a file')
    folder = os.path.dirname(os.path.abspath(path))
    while not os.path.exists(folder):
        folder = os.path.dirname(folder)
    if not os.path.isdir(folder):
        raise OSError(f'{name}: {folder} is no folder, {path} cannot be written')
    if not os.access(folder, os.W_OK | os.X_OK):
        raise OSError(f'{name}: {folder} cannot be written to')
