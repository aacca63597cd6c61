"""Finding the checkpoint to resume an interrupted run from."""

import glob
import logging
import os
import reprlib

from mmengine.logging import print_log
from mmengine.runner import find_latest_checkpoint

from ..utils.text import printable
from .checkpoint import CheckpointError, DamagedCheckpoint, read_checkpoint


def find_resumable(work_dir: str) -> str | None:
    """Find the newest checkpoint of a run that can be resumed.

    mmengine names it in the file ``last_checkpoint``, but a run that was killed while saving may
    leave a half-written file or none under that name (checkpoints are written in place, and with
    ``max_keep_ckpts`` the oldest is removed before the new one is written). Then the previous one
    is used, with a warning that names the broken one.

    Args:
        work_dir (str): The work directory of the run.

    Returns:
        str or None: The path of the checkpoint, or None if the folder has no checkpoints.

    Raises:
        CheckpointError: If there are checkpoints but none can be resumed: a new run would overwrite
            them.
    """
    latest = find_latest_checkpoint(work_dir)
    paths = sorted(glob.glob(os.path.join(work_dir, '*.pth')), key=os.path.getmtime, reverse=True)
    reasons = []
    for path in dict.fromkeys([latest, *paths] if latest else paths):
        try:
            resumed_seed(path)
        except (FileNotFoundError, CheckpointError) as error:
            reasons.append(str(error))
            warning = printable(f'Not resuming: {error}')
            print_log(warning, logger='current', level=logging.WARNING)
        else:
            return path
    if paths:
        raise CheckpointError(
            f'resume: none of the checkpoints in {work_dir} can be resumed '
            f'({"; ".join(reasons)}); name another one, or train in a new work directory'
        )
    return None


def set_damaged_aside(work_dir: str) -> list[str]:
    """Rename damaged checkpoints, so that the run continues from another one or restarts.

    Args:
        work_dir (str): The work directory of the run. No process may be using it.

    Returns:
        list[str]: Their new paths.
    """
    aside = []
    for path in sorted(glob.glob(os.path.join(work_dir, '*.pth'))):
        try:
            read_checkpoint(path, mmap=True)
        except DamagedCheckpoint:
            aside.append(f'{path}.damaged')
            os.replace(path, aside[-1])
        except (CheckpointError, FileNotFoundError):
            continue  # refused, not damaged; resuming from it reports why
    return aside


def resumed_seed(path: str, name: str = 'checkpoint') -> int | None:
    """Check that a run can be resumed from a checkpoint, and get its random seed.

    Args:
        path (str): The checkpoint.
        name (str): What error messages call the file. Defaults to 'checkpoint'.

    Returns:
        int or None: The seed, or None if the checkpoint has none.

    Raises:
        FileNotFoundError: If there is no such file.
        CheckpointError: If it cannot be loaded, or lacks mmengine's training state, as published
            weights and the best checkpoints of a run do.
    """
    checkpoint = read_checkpoint(path, name=name, mmap=True)
    meta = checkpoint.get('meta') if isinstance(checkpoint, dict) else None
    if not isinstance(meta, dict) or 'optimizer' not in checkpoint:
        raise CheckpointError(
            f'{name}: {path} has only weights, no training state; start from it with '
            '`cfg_options` load_from=...'
        )
    counts = [key for key in ('epoch', 'iter') if not isinstance(meta.get(key), int)]
    if counts or 'message_hub' not in checkpoint:
        raise CheckpointError(
            f'{name}: {path} was not saved by mmengine (mmseg 0.x and mmdet 2 used mmcv): it has '
            f'no {" and ".join(counts) or "message_hub"}; start from it with `cfg_options` '
            'load_from=...'
        )
    seed = meta.get('seed')
    if seed is not None and not isinstance(seed, int):
        raise CheckpointError(f'{name}: {path} has the seed {reprlib.repr(seed)}, not an integer')
    return seed
