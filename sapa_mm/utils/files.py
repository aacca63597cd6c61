"""Files that appear complete or not at all, and JSON files with clear errors."""

import json
import os
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any


@contextmanager
def whole_file(path: str | os.PathLike[str]) -> Iterator[str]:
    """Gives a place to write a file to, from where it is moved once it is complete.

    Args:
        path (str): Where the file goes; its folder is made if missing.

    Yields:
        str: Where to write, beside it and with the same suffix.
    """
    os.makedirs(os.path.dirname(path) or '.', exist_ok=True)
    # Two threads or processes may write one file at a time.
    partial = _partial_path(path, f'{os.getpid()}-{threading.get_ident()}')
    try:
        yield partial
        os.replace(partial, path)
    finally:
        if os.path.exists(partial):
            os.remove(partial)


def find_partial(path: str | os.PathLike[str]) -> list[Path]:
    """Finds what killed processes left behind of a file; see ``whole_file``."""
    return sorted(Path(path).parent.glob(os.path.basename(_partial_path(path, '*'))))


def _partial_path(path: str | os.PathLike[str], writer: str) -> str:
    """A hidden path beside a file, with the same suffix."""
    folder, name = os.path.split(path)
    root, suffix = os.path.splitext(name)
    return os.path.join(folder, f'.{root}.{writer}.partial{suffix}')


def write_whole(path: str | os.PathLike[str], text: str) -> None:
    """Writes a text file, whole or not at all; see ``whole_file``."""
    with whole_file(path) as partial, open(partial, 'w') as file:
        file.write(text)


def check_place(path: str, name: str, is_folder: bool = False) -> None:
    """Checks that a file or folder can be written to a path, before it is made. Nothing stays.

    Args:
        path (str): Where it is to go.
        name (str): What error messages call it.
        is_folder (bool): Whether it is a folder of files, new or old. Defaults to False.

    Raises:
        OSError: If the path is a folder where a file is wanted, or a file where a folder is, or
            nothing can be written there.
    """
    folder = os.path.abspath(path)
    if not is_folder:
        if os.path.isdir(folder):
            raise OSError(f'{name}: {path} is a folder, name a file')
        folder = os.path.dirname(folder)
    while not os.path.lexists(folder):
        folder = os.path.dirname(folder)
    if not os.path.isdir(folder):
        raise OSError(f'{name}: {folder} is no folder, {path} cannot be written')
    try:
        # What permissions say does not hold for root, nor on every file system.
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError as error:
        raise OSError(f'{name}: {folder} cannot be written to: {error.strerror}') from error


def read_json(path: str, name: str) -> Any:
    """Reads a JSON file.

    Args:
        path (str): The file.
        name (str): What error messages call it, such as the argument that it came from.

    Returns:
        Any: What it holds.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If it is no complete JSON file.
    """
    if not os.path.isfile(path):
        raise FileNotFoundError(f'{name}: {path} is not a file')
    try:
        with open(path, 'rb') as file:
            return json.load(file)
    except (ValueError, RecursionError) as error:
        raise ValueError(
            f'{name}: {path} is not a complete JSON file ({error}); copy or download it again'
        ) from error
