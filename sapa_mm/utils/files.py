"""Files that appear complete or not at all, and JSON files with clear errors."""

import gc
import json
import os
import tempfile
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any


@contextmanager
def whole_file(path: str | os.PathLike[str]) -> Iterator[str]:
    """Gives a temporary path to write a file to, and moves the file into place once complete.

    Args:
        path (str): The final path; its folder is made if missing.

    Yields:
        str: The temporary path, in the same folder and with the same suffix.
    """
    os.makedirs(os.path.dirname(path) or '.', exist_ok=True)
    # Several threads or processes may write the same file.
    partial = _partial_path(path, f'{os.getpid()}-{threading.get_ident()}')
    try:
        yield partial
        os.replace(partial, path)
    finally:
        if os.path.exists(partial):
            os.remove(partial)


def write_image(path: str | os.PathLike[str], pixels: Any, **options: Any) -> None:
    """Writes an image, whole or not at all.

    Args:
        path (str): The file, whose suffix gives the format.
        pixels (np.ndarray): (H, W), uint8 or uint16, or (H, W, 3) or (H, W, 4), uint8.
        **options: Of Pillow's ``Image.save``.
    """
    from PIL import Image

    with whole_file(path) as partial:
        Image.fromarray(pixels).save(partial, **options)


def find_partial(path: str | os.PathLike[str]) -> list[Path]:
    """Finds the partial files that killed processes left behind; see ``whole_file``."""
    return sorted(Path(path).parent.glob(os.path.basename(_partial_path(path, '*'))))


def _partial_path(path: str | os.PathLike[str], writer: str) -> str:
    """A hidden path beside a file, with the same suffix."""
    folder, name = os.path.split(path)
    root, suffix = os.path.splitext(name)
    return os.path.join(folder, f'.{root}.{writer}.partial{suffix}')


def write_whole(path: str | os.PathLike[str], text: str) -> None:
    """Writes a text file, whole or not at all; see ``whole_file``."""
    # Names of files may hold bytes that are not text.
    with (
        whole_file(path) as partial,
        open(partial, 'w', encoding='utf-8', errors='backslashreplace') as file,
    ):
        file.write(text)


def check_writable(path: str, name: str, is_folder: bool = False) -> None:
    """Checks that a file or folder can be written to a path; leaves nothing behind.

    Args:
        path (str): The path.
        name (str): What error messages call it.
        is_folder (bool): Whether it is a folder, new or existing. Defaults to False.

    Raises:
        OSError: If the path is a folder instead of a file, or the other way round, or nothing can
            be written there.
    """
    folder = os.path.abspath(path)
    if not is_folder:
        if os.path.isdir(folder):
            raise OSError(f'{name}: {path} is a folder, name a file')
        folder = os.path.dirname(folder)
    while not os.path.lexists(folder):
        folder = os.path.dirname(folder)
    if not os.path.isdir(folder):
        raise OSError(f'{name}: {folder} is not a folder, {path} cannot be written')
    try:
        # Permission bits mean nothing for root and on some file systems.
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError as error:
        raise OSError(f'{name}: {folder} cannot be written to: {error.strerror}') from error


def read_json(
    path: str, name: str, object_hook: Callable[[dict[str, Any]], Any] | None = None
) -> Any:
    """Reads a JSON file.

    Args:
        path (str): The file.
        name (str): What error messages call it, such as the argument it came from.
        object_hook (Callable, optional): Gives what to keep of each object, inner ones first.
            Defaults to None, to keep all.

    Returns:
        Any: What it holds.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If it is not a complete JSON file in UTF-8.
    """
    if not os.path.isfile(path):
        # A link whose target is gone is no file.
        link = f' is a link to {os.readlink(path)}, which' if os.path.islink(path) else ''
        raise FileNotFoundError(f'{name}: {path}{link} is not a file')
    try:
        with open(path, 'rb') as file:
            data = file.read()
    except OSError as error:
        raise ValueError(f'{name}: {path} cannot be read: {error.strerror}') from error
    for start, kind in _NOT_JSON.items():
        if data.startswith(start):
            raise ValueError(f'{name}: {path} is not a JSON file but {kind}')
    collects = gc.isenabled()
    try:
        text = data.decode('utf-8-sig')
        del data
        # Collecting garbage while millions of objects are made takes a third of the time.
        gc.disable()
        return json.loads(text, object_hook=object_hook)
    except UnicodeDecodeError as error:
        raise ValueError(f'{name}: {path} is not a complete JSON file in UTF-8: {error}') from error
    except (ValueError, RecursionError) as error:
        reason = str(error) if os.path.getsize(path) else 'it is empty'
        raise ValueError(
            f'{name}: {path} is not a complete JSON file ({reason}); copy or download it again'
        ) from error
    finally:
        if collects:
            gc.enable()


_NOT_JSON = {
    b'\x1f\x8b': 'compressed (gzip); unpack it',
    b'PK\x03\x04': 'a zip archive; unpack it',
    b'version https://git-lfs': 'a pointer of Git LFS; get the file with `git lfs pull`',
}
