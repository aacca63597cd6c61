"""Finding the checkpoint to resume an interrupted run from."""

import glob
import logging
import os
import reprlib

from mmengine.config import Config
from mmengine.logging import print_log

from ..utils.text import printable
from .checkpoint import CheckpointError, DamagedCheckpoint, read_checkpoint


class _OnlyWeights(CheckpointError):
    """A checkpoint has no training state: the best one of a run, for example."""


def find_resumable(work_dir: str, folder: str | None = None) -> str | None:
    """Find the newest checkpoint of a run that can be resumed.

    That is the one with the most iterations in the folder, whatever its name and the time of the
    file say. The file ``last_checkpoint``, which names the last one by its path, may be a copy that
    leads to another folder, so only the name in it counts: what was saved before that checkpoint,
    by the clock in the checkpoints, is older, such as the checkpoints of a longer run that this one
    has replaced.

    A run that was killed while saving may leave a half-written file (checkpoints are written in
    place, and with ``max_keep_ckpts`` the oldest is removed before the new one is written). Then
    the previous one is used, with a warning that names the broken one.

    Args:
        work_dir (str): The work directory of the run.
        folder (str, optional): Where its checkpoints are. Defaults to None, the work directory.

    Returns:
        str or None: The path of the checkpoint, or None if the folder has no checkpoints.

    Raises:
        CheckpointError: If there are checkpoints but none can be resumed: a new run would overwrite
            them.
    """
    folder = folder or work_dir
    last = os.path.join(folder, _last_name(work_dir))
    paths = {*glob.glob(os.path.join(glob.escape(folder), '*.pth')), last}
    states, reasons = {}, []
    for path in sorted(filter(os.path.isfile, paths)):
        try:
            states[path] = _resumable_meta(path)
        except (FileNotFoundError, CheckpointError) as error:
            reasons.append(str(error))
            if not isinstance(error, _OnlyWeights):
                _warn(f'Not resuming: {error}')
    if reasons and not states:
        raise CheckpointError(
            f'resume: none of the checkpoints in {folder} can be resumed '
            f'({"; ".join(reasons)}); name another one, or train in a new work directory'
        )
    times = {path: str(meta.get('time', '')) for path, meta in states.items()}
    for path in [path for path in states if times[path] < times.get(last, '')]:
        if states[path]['iter'] > states[last]['iter']:
            _warn(f'Not resuming: {path} has more iterations than {last}, but was saved before it')
        del states[path]
    if not states:
        return None
    newest = max(states, key=lambda path: (states[path]['iter'], times[path]))
    print_log(f'Resuming from {newest}, iteration {states[newest]["iter"]}', logger='current')
    return newest


def checkpoint_folder(cfg: Config) -> str:
    """The folder of a run's checkpoints: the work directory, unless its hook has an ``out_dir``.

    Args:
        cfg (Config): The config of the run.

    Returns:
        str: The folder.
    """
    work_dir = os.path.abspath(cfg.work_dir)
    out_dir = ((cfg.get('default_hooks') or {}).get('checkpoint') or {}).get('out_dir')
    if out_dir in (None, work_dir):
        return cfg.work_dir
    return os.path.join(out_dir, os.path.basename(work_dir))


def _last_name(work_dir: str) -> str:
    try:
        with open(os.path.join(work_dir, 'last_checkpoint'), encoding='utf-8') as file:
            return os.path.basename(file.read().strip())
    except (OSError, UnicodeDecodeError):
        return ''


def _warn(message: str) -> None:
    print_log(printable(message), logger='current', level=logging.WARNING)


def set_damaged_aside(work_dir: str) -> list[str]:
    """Rename damaged checkpoints, so that the run continues from another one or restarts.

    Args:
        work_dir (str): The work directory of the run. No process may be using it.

    Returns:
        list[str]: Their new paths.
    """
    aside = []
    for path in sorted(glob.glob(os.path.join(glob.escape(work_dir), '*.pth'))):
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
    seed: int | None = _resumable_meta(path, name).get('seed')
    return seed


def _resumable_meta(path: str, name: str = 'checkpoint') -> dict:
    """What a checkpoint that can be resumed says of its run; see ``resumed_seed``."""
    checkpoint = read_checkpoint(path, name=name, mmap=True)
    meta = checkpoint.get('meta') if isinstance(checkpoint, dict) else None
    if not isinstance(meta, dict) or 'optimizer' not in checkpoint:
        raise _OnlyWeights(
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
    return meta
