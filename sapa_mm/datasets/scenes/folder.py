"""A folder of generated data: written once, found complete, replaced only by what made it."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from ...utils.files import check_writable, find_partial, write_whole
from .scene import check_count, check_size

VALIDATION_START = 50_000_000
"""Index of the first validation image; neither subset depends on the other's size."""


@dataclass(frozen=True)
class FolderLayout:
    """The files of one kind of generated data.

    Attributes:
        kind (str): What it is, in the plural, such as 'scenes'; for messages and the record's name.
        version (int): Incremented whenever the files or the images of a seed change.
        files (Mapping[str, tuple[str, ...]]): Paths of the files of one index, for the training
            set and then the validation set, by the name of its folders. ``{}`` stands for the
            index, a number of eight digits.
        summaries (Mapping[str, tuple[str, ...]]): Paths of further files, about all of a subset's
            indices.
    """

    kind: str
    version: int
    files: Mapping[str, tuple[str, ...]]
    summaries: Mapping[str, tuple[str, ...]]

    @property
    def record(self) -> str:
        """Name of the file that says what a folder holds; it is written last."""
        return record_name(self.kind)

    def paths(self, root: Path, subset: str, index: int) -> list[Path]:
        """Paths of the files of one index."""
        return [root / name.format(f'{index:08d}') for name in self.files[subset]]


def record_name(kind: str) -> str:
    """Name of the file that says what a folder of this kind of data holds."""
    return f'{kind}.json'


def write_folder(
    layout: FolderLayout,
    write_subset: Callable[[Path, str, range, int, tuple[int, int]], None],
    root: str | os.PathLike,
    num_train: int,
    num_val: int,
    size: tuple[int, int],
    seed: int,
    overwrite: bool,
    **description: object,
) -> dict:
    """Write a folder of generated data, unless it is complete already.

    The remains of an interrupted call are replaced.

    Args:
        layout (FolderLayout): Its files.
        write_subset (Callable): Writes the files of one subset; gets the root, the subset's name,
            its indices, the seed and the size.
        root (str or PathLike): Folder to write to; made if missing.
        num_train, num_val (int): Numbers of training and validation images, 1 or more each.
        size (tuple[int, int]): Height and width of the images in pixels, each 32 or more.
        seed (int): Seed, 0 or more.
        overwrite (bool): Whether to replace data written with other arguments, and to rewrite
            those written with the same.
        **description: What the record says besides ``format_version`` and these arguments.

    Returns:
        dict: The record.

    Raises:
        OSError: If ``root`` is a file or cannot be written to.
        ValueError: If an argument is not as above, if ``root`` holds data written with other
            arguments and ``overwrite`` is False, or if it holds other images or annotations, which
            are never replaced.
    """
    check_count('num_train', num_train, 1)
    check_count('num_val', num_val, 1)
    check_count('seed', seed, 0)
    size = check_size(size)
    if num_train > VALIDATION_START:
        raise ValueError(f'num_train must be at most {VALIDATION_START}, got {num_train}')
    root = Path(root)
    record = {
        'format_version': layout.version,
        'num_train': int(num_train),
        'num_val': int(num_val),
        'size': list(size),
        'seed': int(seed),
        **description,
    }
    ranges = range(num_train), range(VALIDATION_START, VALIDATION_START + num_val)
    subsets = dict(zip(layout.files, ranges, strict=True))
    existing = _read_record(root / layout.record)
    if existing is not None and not overwrite:
        _check_same(layout, root, existing, record)
        if _is_complete(layout, root, subsets):
            return record
    check_writable(str(root), 'root', is_folder=True)
    _clear(layout, root)
    for subset, indices in subsets.items():
        for name in layout.files[subset]:
            (root / name).parent.mkdir(parents=True, exist_ok=True)
        write_subset(root, subset, indices, int(seed), size)
    write_whole(root / layout.record, json.dumps(record))
    return record


def _read_record(path):
    """Read the record of complete data; None if it is missing or damaged."""
    try:
        record = json.loads(path.read_text())
    except (FileNotFoundError, NotADirectoryError, ValueError):
        return None
    return record if isinstance(record, dict) else None


def _check_same(layout, root, existing, requested):
    for key, value in requested.items():
        if existing.get(key) != value:
            raise ValueError(
                f'{key}: {root} holds {layout.kind} with {key}={existing.get(key)!r}, asked for '
                f'{value!r}; `overwrite` replaces them; or choose another root'
            )


def _is_complete(layout, root, subsets):
    for subset, indices in subsets.items():
        if not all((root / name).exists() for name in layout.summaries[subset]):
            return False
        # One listing of each folder is much faster than a look at each file.
        existing = {path for name in layout.files[subset] for path in _existing(root, name)}
        if not all(existing.issuperset(layout.paths(root, subset, index)) for index in indices):
            return False
    return True


def _existing(root, name):
    return root.glob(name.format('[0-9]' * 8))


def _clear(layout, root):
    """Remove earlier data of this kind, and nothing else."""
    own_files = [root / layout.record, *find_partial(root / layout.record)]
    folders = set()
    for subset, names in layout.files.items():
        for path in [root / name for name in layout.summaries[subset]]:
            own_files += [path, *find_partial(path)]
        for name in names:
            own_files += _existing(root, name)
            folders.add(root / Path(name).parts[0])
    # Datasets read every file in these folders, so other files are an error; they are not deleted.
    for folder in sorted(folders):
        for path in sorted(folder.rglob('*')):
            if path not in own_files and not path.is_dir():
                raise ValueError(
                    f'root must be a folder without other images and annotations, '
                    f'got {root}, which holds {path.relative_to(root)}'
                )
    # The record is removed first: without it the folder counts as incomplete.
    for path in own_files:
        path.unlink(missing_ok=True)
