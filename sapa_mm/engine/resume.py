"""Finding the checkpoint to resume an interrupted run from."""

import glob
import os
import reprlib

from mmengine.config import Config

from ..utils.log import log_info, log_warning
from .checkpoint import CheckpointError, DamagedCheckpoint, read_checkpoint


class _OnlyWeights(CheckpointError):
    """A checkpoint has no training state: the best one of a run, for example."""


def find_resumable(work_dir: str, folder: str | None = None) -> str | None:
    """Find the newest checkpoint of a run that can be resumed.

    That is the one with the most iterations in the folder, whenever the file was written; of names
    that differ in the number at the end, the largest is the newest. The file ``last_checkpoint``,
    which names the last one by its path, may be a copy that leads to another folder, so only the
    name in it counts: what was saved before that checkpoint, by the clock in the checkpoints, is
    older, such as the checkpoints of a longer run that this one has replaced.

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
    metas: dict[str, dict] = {}
    reasons: dict[str, str] = {}

    def read(path: str) -> dict | None:
        if path not in metas and path not in reasons:
            try:
                metas[path] = _resumable_meta(path)
            except (FileNotFoundError, CheckpointError) as error:
                reasons[path] = str(error)
                if not isinstance(error, _OnlyWeights):
                    log_warning(f'Not resuming: {error}')
        return metas.get(path)

    last = os.path.join(folder, _last_name(work_dir))
    known = read(last) if os.path.isfile(last) else None
    candidates = []
    # The newest of a series, such as iter_*.pth, has the largest number: reading all takes long.
    for series in _series(folder, last):
        passed_over = []
        for path in series:
            if (meta := read(path)) is None:
                continue
            if known is None or _time(meta) >= _time(known):
                candidates.append((meta['iter'], _time(meta), path))
                break
            passed_over.append(path)
        if passed_over and known and metas[passed_over[0]]['iter'] > known['iter']:
            log_warning(
                f'Not resuming: {passed_over[0]} has more iterations than {last}, but was saved '
                'before it'
            )
    if candidates:
        iteration, _, newest = max(candidates)
        log_info(f'Resuming from {newest}, iteration {iteration}')
        return newest
    if reasons:
        raise CheckpointError(
            f'resume: none of the checkpoints in {folder} can be resumed '
            f'({"; ".join(reasons.values())}); name another one, or train in a new work directory'
        )
    return None


def _series(folder: str, last: str) -> list[list[str]]:
    """Group checkpoints by their names but for the number at the end, the largest number first."""
    series: dict[str, list[tuple[int, str]]] = {}
    for path in {*glob.glob(os.path.join(glob.escape(folder), '*.pth')), last}:
        if os.path.isfile(path):
            stem = os.path.splitext(path)[0]
            name = stem.rstrip('0123456789')
            series.setdefault(name, []).append((int(stem[len(name) :] or 0), path))
    return [[path for _, path in sorted(paths, reverse=True)] for paths in series.values()]


def _time(meta: dict) -> str:
    return str(meta.get('time', ''))


def checkpoint_folder(cfg: Config) -> str:
    """The folder of a run's checkpoints: the work directory, unless its hook has an ``out_dir``.

    Args:
        cfg (Config): The config of the run.

    Returns:
        str: The folder.
    """
    work_dir = os.path.abspath(cfg.work_dir)
    hook = (cfg.get('default_hooks') or {}).get('checkpoint')
    out_dir = hook.get('out_dir') if isinstance(hook, dict) else None
    if out_dir in (None, work_dir):
        return cfg.work_dir
    return os.path.join(out_dir, os.path.basename(work_dir))


def _last_name(work_dir: str) -> str:
    try:
        with open(os.path.join(work_dir, 'last_checkpoint'), encoding='utf-8') as file:
            return os.path.basename(file.read().strip())
    except (OSError, UnicodeDecodeError):
        return ''


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
