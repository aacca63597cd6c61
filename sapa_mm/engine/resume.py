"""Which checkpoint of an interrupted run to continue from."""

import glob
import logging
import os

from mmengine.logging import print_log
from mmengine.runner import find_latest_checkpoint

from .checkpoint import CheckpointError, read_checkpoint


def find_resumable(work_dir: str) -> str | None:
    """Find the newest checkpoint of a run that can be resumed.

    mmengine names it in the file ``last_checkpoint``, but a run that was killed while saving may
    leave a half-written or no file under that name (checkpoints are written in place, and with
    ``max_keep_ckpts`` the oldest is removed before the new one is written). Then the one before it
    is taken, with a warning that names the broken one.

    Args:
        work_dir (str): The work directory of the run.

    Returns:
        str or None: The path of the checkpoint, or None if there is none.
    """
    latest = find_latest_checkpoint(work_dir)
    others = sorted(glob.glob(os.path.join(work_dir, '*.pth')), key=os.path.getmtime, reverse=True)
    for path in dict.fromkeys([latest, *others] if latest else others):
        try:
            checkpoint = read_checkpoint(path, mmap=True)
        except (FileNotFoundError, CheckpointError) as error:
            print_log(f'Not resuming: {error}', logger='current', level=logging.WARNING)
            continue
        if 'optimizer' in checkpoint:  # the best checkpoints keep weights only
            return path
    return None


def resumed_seed(path: str) -> int | None:
    """Get the random seed of the run that saved a checkpoint.

    Args:
        path (str): The checkpoint.

    Returns:
        int or None: The seed, or None if the checkpoint does not tell.
    """
    return read_checkpoint(path, mmap=True).get('meta', {}).get('seed')
