"""Time and peak memory of the benchmark's contestants."""

import multiprocessing
import random
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from multiprocessing.connection import Connection
from typing import Any

import torch

from ..machine import peak_rss, reset_peak_rss
from .contestants import Case, Contestant, Maps, Trial, prepare

FEWEST_RUNS = 3

_MB = 1e6
_FLUSH_BYTES = 256 << 20  # beyond any GPU's L2 cache
_FLUSHES = 8

Stopwatch = Callable[[Callable[[], Any]], float]


def make_stopwatch(device: str) -> Stopwatch:
    """Makes what calls a function once and returns the seconds that it took.

    Args:
        device (str): 'cpu', wall time, or 'cuda', time between events on the GPU.
    """
    return _gpu_stopwatch() if device == 'cuda' else _cpu_seconds


def _cpu_seconds(function: Callable[[], Any]) -> float:
    start = time.perf_counter()
    results = function()  # held, so that freeing them is not timed
    seconds = time.perf_counter() - start
    del results
    return seconds


def _gpu_stopwatch() -> Stopwatch:
    flush = torch.empty(_FLUSH_BYTES, dtype=torch.uint8, device='cuda')

    def stopwatch(function: Callable[[], Any]) -> float:
        start, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))
        torch.cuda.synchronize()
        # Besides clearing the cache, this keeps the GPU busy while the work is being launched.
        for _ in range(_FLUSHES):
            flush.zero_()
        start.record()
        function()
        end.record()
        torch.cuda.synchronize()
        return start.elapsed_time(end) / 1e3

    return stopwatch


def warm_up(function: Callable[[], Any], stopwatch: Stopwatch, budget: float) -> tuple[Any, float]:
    """Calls a function until it is warm: twice, or once if that takes a run's share of the budget.

    Args:
        function (Callable): What to call.
        stopwatch (Callable): See ``make_stopwatch``.
        budget (float): Seconds for all runs.

    Returns:
        tuple[Any, float]: What it returned, and the seconds that the last call took.
    """
    returned = []
    seconds = stopwatch(lambda: returned.append(function()))
    if seconds < budget / FEWEST_RUNS:
        seconds = stopwatch(function)
    return returned[0], seconds


def affordable_runs(seconds: float, repeats: int, budget: float) -> int:
    """Says how often a function can run within a budget.

    Args:
        seconds (float): Time of one run.
        repeats (int): Most runs.
        budget (float): Seconds that runs beyond the third may not exceed.

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
    """Times functions in turns, so that other load on the machine affects all of them alike.

    There are as many rounds as the most frequent one has runs. The runs of the others are spread
    evenly over them. The order changes from round to round, because a function finds in the caches
    what the one before it left there.

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
        seconds (list[float]): Of each run.
        bytes_to_move (int): What a run reads and writes, see ``.Trial.bytes_to_move``.
    """

    seconds: list[float]
    bytes_to_move: int


def time_contestants(
    entries: Sequence[tuple[Contestant, Case]],
    repeats: int,
    budget: float,
    seed: int = 0,
    on_progress: Callable[[str], None] | None = None,
) -> list[Timing | Exception]:
    """Times contestants in turns, after a warm-up.

    Args:
        entries (Sequence[tuple[Contestant, Case]]): Contestants and their cases, on one device.
        repeats (int): Most runs of each.
        budget (float): Seconds for the runs of each beyond the third.
        seed (int): Seed of the order. Defaults to 0.
        on_progress (Callable, optional): Called with what is done next. Defaults to None.

    Returns:
        list[Timing | Exception]: For each entry its time, or why it cannot run: a RuntimeError, or
        whatever an imported upsampler raises.
    """
    if not entries:
        return []
    say = on_progress or (lambda text: None)
    stopwatch = make_stopwatch(entries[0][1].device)
    maps: dict[Case, Maps] = {}
    trials: list[Trial] = []
    counts: list[int] = []
    bytes_to_move: list[int] = []
    errors: dict[int, Exception] = {}
    for number, (contestant, case) in enumerate(entries):
        say(f'{number + 1} of {len(entries)}: warming up {contestant.name}')
        # The maps of a case serve both directions.
        shared = maps.setdefault(replace(case, direction=''), Maps(case))
        try:
            trial = prepare(contestant, case, shared)
            results, seconds = warm_up(trial, stopwatch, budget)
        except Exception as error:
            if contestant.module is None and not isinstance(error, RuntimeError):
                raise
            errors[number] = error
            continue
        trials.append(trial)
        counts.append(affordable_runs(seconds, repeats, budget))
        bytes_to_move.append(trial.bytes_to_move(results))
        del results
    say(f'timing all in turns, up to {max(counts, default=0)} times')
    runs = time_interleaved(trials, counts, stopwatch, seed)
    timings = map(Timing, runs, bytes_to_move)
    return [errors[n] if n in errors else next(timings) for n in range(len(entries))]


def measure_memory(contestant: Contestant, case: Case, threads: int) -> dict[str, float]:
    """Measures peak memory as ``peak_memory`` does, on a CPU in a process of its own.

    Args:
        contestant (Contestant): The contestant.
        case (Case): The case.
        threads (int): CPU threads.

    Returns:
        dict[str, float]: See ``peak_memory``.

    Raises:
        RuntimeError: If the contestant cannot run, or its process was killed.
    """
    if case.device == 'cuda':
        return peak_memory(contestant, case)
    # Its processes start from one that has imported torch and done nothing else.
    context = multiprocessing.get_context('forkserver')
    context.set_forkserver_preload([__name__])
    receiver, sender = context.Pipe(duplex=False)
    process = context.Process(target=_measure_here, args=(sender, contestant, case, threads))
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


def _measure_here(sender: Connection, contestant: Contestant, case: Case, threads: int) -> None:
    torch.set_num_threads(threads)
    torch.ones(1 << 16).exp_()  # starts the threads
    try:
        sender.send(peak_memory(contestant, case))
    except RuntimeError as error:
        sender.send(str(error))


def peak_memory(contestant: Contestant, case: Case) -> dict[str, float]:
    """Measures how much memory a run takes beyond its inputs and results.

    On a CPU it has to be the first run in its process: memory that an earlier run freed could
    serve this one unseen.

    Args:
        contestant (Contestant): The contestant.
        case (Case): The case.

    Returns:
        dict[str, float]: In MB of 10^6 bytes: ``peak`` beyond the inputs, ``output``,
        ``gradients``, ``weights`` that a pipeline holds while it makes its output (0 in a run
        with gradients, where their number at the peak differs), ``extra``, the peak beyond all
        those, and ``extra_percent`` of the output.

    Raises:
        RuntimeError: If the contestant cannot run.
    """
    trial = prepare(contestant, case, Maps(case))
    if case.device == 'cuda':
        trial()  # workspaces of libraries stay
        torch.cuda.synchronize()
        torch.cuda.reset_peak_memory_stats()
        before = torch.cuda.memory_allocated()
        output, *gradients = trial()
        peak = torch.cuda.max_memory_allocated() - before
    else:
        # Inputs are made in place: where the peak cannot be reset, it hardly exceeds them.
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
