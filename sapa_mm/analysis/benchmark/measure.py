"""Time and peak memory of the benchmark's contestants."""

import contextlib
import multiprocessing
import os
import random
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, replace
from multiprocessing.connection import Connection
from typing import Any, TypeVar

import torch

from ...utils.text import one_line
from ..machine import peak_rss, reset_peak_rss
from .contestants import Case, Contestant, Maps, Trial, prepare

FEWEST_RUNS = 3

# What glibc's malloc does, by settings that it reads as a process starts. Fresh: it maps a block of
# 1 MB or more anew each time, and gives it back when it is freed. (By default from 32 MB on, but
# larger ones may also go where smaller ones lay.) Reused: it keeps all that are smaller than 4 GB.
_MALLOC = {
    'fresh': {'MALLOC_MMAP_THRESHOLD_': str(1 << 20)},
    'reused': {'MALLOC_MMAP_THRESHOLD_': '4000000000', 'MALLOC_TRIM_THRESHOLD_': '8000000000'},
}
#: Whether results are written into new memory or into some that was freed before.
PAGES = tuple(_MALLOC)
_MB = 1e6
_FLUSH_BYTES = 256 << 20  # beyond any GPU's L2 cache
_FLUSHES = 8

_T = TypeVar('_T')
Stopwatch = Callable[[Callable[[], Any]], float]


def make_stopwatch(device: str) -> Stopwatch:
    """Makes a stopwatch, which calls a function once and returns the seconds it took.

    Args:
        device (str): 'cpu' for wall time, 'cuda' for the time between events on the GPU.
    """
    return _gpu_stopwatch() if device == 'cuda' else _cpu_seconds


def _cpu_seconds(function: Callable[[], Any]) -> float:
    start = time.perf_counter()
    results = function()  # kept, so that freeing them is not timed
    seconds = time.perf_counter() - start
    del results
    return seconds


def _gpu_stopwatch() -> Stopwatch:
    flush = torch.empty(_FLUSH_BYTES, dtype=torch.uint8, device='cuda')

    def stopwatch(function: Callable[[], Any]) -> float:
        start, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))
        torch.cuda.synchronize()
        # Besides clearing the cache, this keeps the GPU busy while the work is launched.
        for _ in range(_FLUSHES):
            flush.zero_()
        start.record()
        function()
        end.record()
        torch.cuda.synchronize()
        return start.elapsed_time(end) / 1e3

    return stopwatch


def warm_up(function: Callable[[], Any], stopwatch: Stopwatch, budget: float) -> tuple[Any, float]:
    """Calls a function twice, or once if that already takes a run's share of the budget.

    Args:
        function (Callable): What to call.
        stopwatch (Callable): See ``make_stopwatch``.
        budget (float): Seconds for all runs.

    Returns:
        tuple[Any, float]: The first call's result, and the seconds of the last call.
    """
    returned = []
    seconds = stopwatch(lambda: returned.append(function()))
    if seconds < budget / FEWEST_RUNS:
        seconds = stopwatch(function)
    return returned[0], seconds


def affordable_runs(seconds: float, repeats: int, budget: float) -> int:
    """Computes how often a function can run within a budget.

    Args:
        seconds (float): Time of one run.
        repeats (int): Maximum number of runs.
        budget (float): Seconds for the runs beyond the third.

    Returns:
        int: From ``FEWEST_RUNS`` to repeats.
    """
    if seconds * repeats <= budget:
        return repeats
    return max(FEWEST_RUNS, int(budget / seconds))


def time_interleaved(
    functions: Sequence[Callable[[], Any]],
    counts: Sequence[int],
    stopwatch: Stopwatch,
    seed: int = 0,
) -> list[list[float]]:
    """Times functions in turns, so that other load on the machine affects them alike.

    There are as many rounds as the largest count; less frequent runs are spread evenly over them.
    The order changes from round to round, because each function finds the caches as the previous
    one left them.

    Args:
        functions (Sequence[Callable]): What to call.
        counts (Sequence[int]): How often to call each.
        stopwatch (Callable): See ``make_stopwatch``.
        seed (int): Seed of the order. Defaults to 0.

    Returns:
        list[list[float]]: Seconds of each run of each function.
    """
    seconds: list[list[float]] = [[] for _ in functions]
    rounds = max(counts, default=0)
    order, shuffle = list(range(len(functions))), random.Random(seed).shuffle
    for turn in range(rounds):
        shuffle(order)
        for index in order:
            if (turn + 1) * counts[index] // rounds > turn * counts[index] // rounds:
                seconds[index].append(stopwatch(functions[index]))
    return seconds


@dataclass(frozen=True)
class Timing:
    """The time of a contestant.

    Attributes:
        seconds (list[float]): Duration of each run.
        values (int): Number of values of the output.
        bytes_to_move (int): Bytes that a run reads and writes, see ``.Trial.bytes_to_move``.
        operations (int): Operations of a run, see ``.Trial.operations``.
    """

    seconds: list[float]
    values: int
    bytes_to_move: int
    operations: int


def time_contestants(
    entries: Sequence[tuple[Contestant, Case]],
    repeats: int,
    budget: float,
    seed: int = 0,
    on_progress: Callable[[str], None] | None = None,
) -> list[Timing | str]:
    """Times contestants in turns, after a warm-up, with the current number of threads.

    Args:
        entries (Sequence[tuple[Contestant, Case]]): Contestants and their cases, on one device.
        repeats (int): Maximum number of runs of each.
        budget (float): Seconds for the runs of each beyond the third.
        seed (int): Seed of the order. Defaults to 0.
        on_progress (Callable, optional): Called with a text on what comes next. Defaults to None.

    Returns:
        list[Timing | str]: Each entry's time, or the line of its error: a RuntimeError, or any
        error of an imported upsampler.
    """
    if not entries:
        return []
    say = on_progress or (lambda text: None)
    stopwatch = make_stopwatch(entries[0][1].device)
    maps: dict[Case, Maps] = {}
    trials: list[Trial] = []
    counts: list[int] = []
    work: list[tuple[int, int, int]] = []
    errors: dict[int, str] = {}
    for number, (contestant, case) in enumerate(entries):
        say(f'{number + 1} of {len(entries)}: warming up {contestant.name}')
        # Both directions of a case share its maps.
        shared = maps.setdefault(replace(case, direction=''), Maps(case))
        try:
            trial = prepare(contestant, case, shared)
            results, seconds = warm_up(trial, stopwatch, budget)
        except Exception as error:
            if contestant.module is None and not isinstance(error, RuntimeError):
                raise
            errors[number] = one_line(error)
            continue
        trials.append(trial)
        counts.append(affordable_runs(seconds, repeats, budget))
        work.append((results[0].numel(), trial.bytes_to_move(results), trial.operations()))
        del results
    say(f'timing all in turns, up to {max(counts, default=0)} times')
    runs = time_interleaved(trials, counts, stopwatch, seed)
    timings = (Timing(seconds, *one) for seconds, one in zip(runs, work, strict=True))
    return [errors[n] if n in errors else next(timings) for n in range(len(entries))]


def time_with_pages(
    pages: str,
    entries: Sequence[tuple[Contestant, Case]],
    repeats: int,
    budget: float,
    seed: int = 0,
) -> list[Timing | str]:
    """Times contestants as ``time_contestants`` does, with fresh or with reused memory.

    On a CPU that is a process of its own. torch's allocator for GPUs always reuses memory.

    Args:
        pages (str): Of ``PAGES``.
        entries (Sequence[tuple[Contestant, Case]]): Contestants and cases, of one device and
            number of threads.
        repeats (int): Maximum number of runs of each.
        budget (float): Seconds for the runs of each beyond the third.
        seed (int): Seed of the order. Defaults to 0.

    Returns:
        list[Timing | str]: See ``time_contestants``.
    """
    if not entries or entries[0][1].device != 'cpu':
        return time_contestants(entries, repeats, budget, seed)
    threads = entries[0][1].threads
    return call_with_pages(pages, threads, time_contestants, entries, repeats, budget, seed)


def call_with_pages(pages: str, threads: int, function: Callable[..., _T], *args: Any) -> _T:
    """Calls a function in a new process whose malloc is set for fresh or for reused memory.

    Other systems' malloc than glibc's does as it likes.

    Args:
        pages (str): Of ``PAGES``.
        threads (int): CPU threads.
        function (Callable): What to call; it is imported there.
        *args: Its arguments.

    Returns:
        Any: What it returns.
    """
    context = multiprocessing.get_context('spawn')  # a fork has read its settings already
    with (
        _environment(_MALLOC[pages]),
        ProcessPoolExecutor(1, context, _start_threads, (threads,)) as pool,
    ):
        return pool.submit(function, *args).result()


@contextlib.contextmanager
def _environment(variables: Mapping[str, str]) -> Iterator[None]:
    before = dict(os.environ)
    os.environ.update(variables)
    try:
        yield
    finally:
        os.environ.clear()
        os.environ.update(before)


def _start_threads(threads: int) -> None:
    torch.set_num_threads(threads)
    torch.ones(1 << 16).exp_()


def measure_memory(contestant: Contestant, case: Case) -> dict[str, float]:
    """Measures peak memory, see ``peak_memory``; on a CPU in a separate process.

    Args:
        contestant (Contestant): The contestant.
        case (Case): The case.

    Returns:
        dict[str, float]: See ``peak_memory``.

    Raises:
        RuntimeError: If the contestant cannot run, or its process was killed.
    """
    if case.device == 'cuda':
        return peak_memory(contestant, case)
    # New processes fork from one that has only imported torch.
    context = multiprocessing.get_context('forkserver')
    context.set_forkserver_preload([__name__])
    receiver, sender = context.Pipe(duplex=False)
    process = context.Process(target=_measure_here, args=(sender, contestant, case))
    process.start()
    sender.close()
    try:
        answer = receiver.recv()
    except EOFError:
        answer = None
    process.join()
    if answer is None:
        raise RuntimeError(f'its process ended with exit code {process.exitcode}')
    if isinstance(answer, str):
        raise RuntimeError(answer)
    return answer


def _measure_here(sender: Connection, contestant: Contestant, case: Case) -> None:
    _start_threads(case.threads)
    try:
        sender.send(peak_memory(contestant, case))
    except RuntimeError as error:
        sender.send(str(error))


def peak_memory(contestant: Contestant, case: Case) -> dict[str, float]:
    """Measures how much memory a run takes beyond its inputs and results.

    On a CPU it must be the first run in its process: memory freed by an earlier run could be reused
    unnoticed.

    Args:
        contestant (Contestant): The contestant.
        case (Case): The case.

    Returns:
        dict[str, float]: In MB of 10^6 bytes: ``peak`` beyond the inputs, ``output``,
        ``gradients``, ``weights`` that a pipeline holds while it computes its output (0 in a
        run with gradients, where their number at the peak differs), ``extra``, the peak beyond all
        of these, and ``extra_percent`` of the output.

    Raises:
        RuntimeError: If the contestant cannot run.
    """
    trial = prepare(contestant, case, Maps(case))
    if case.device == 'cuda':
        trial()  # library workspaces remain allocated
        torch.cuda.synchronize()
        torch.cuda.reset_peak_memory_stats()
        before = torch.cuda.memory_allocated()
        output, *gradients = trial()
        peak = torch.cuda.max_memory_allocated() - before
    else:
        # Inputs are made in place, so even a peak that cannot be reset hardly exceeds them.
        reset_peak_rss()
        before = peak_rss()
        output, *gradients = trial()
        peak = peak_rss() - before
    memory = {
        'peak': peak / _MB,
        'output': output.nbytes / _MB,
        'gradients': sum(gradient.nbytes for gradient in gradients) / _MB,
        'weights': 0.0 if gradients else trial.weight_bytes(output) / _MB,
    }
    memory['extra'] = memory['peak'] - sum(memory[k] for k in ('output', 'gradients', 'weights'))
    memory['extra_percent'] = 100 * memory['extra'] / memory['output']
    return memory
