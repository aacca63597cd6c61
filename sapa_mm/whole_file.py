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
    root, suffix = os.path.splitext(path)
    # Two threads or processes may write one file at a time.
    partial = f'{root}.{os.getpid()}-{threading.get_ident()}.partial{suffix}'
    try:
        yield partial
        os.replace(partial, path)
    finally:
        if os.path.exists(partial):
            os.remove(partial)
