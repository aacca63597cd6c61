"""Runs the benchmark: time and memory of operators and upsamplers, and their ratios."""

import os
import statistics
import sys
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, field
from itertools import product
from typing import Any

import torch

from ...utils.files import check_writable
from ...utils.text import one_line
from .conditions import describe_conditions, why_not
from .contestants import (
    FORMS,
    GROUPS,
    KINDS,
    LAYOUTS,
    PASSES,
    Case,
    Contestant,
    import_upsamplers,
    list_contestants,
)
from .measure import (
    FEWEST_RUNS,
    PAGES,
    Timing,
    measure_memory,
    time_with_pages,
)
from .report import add_ratios, find_cliffs, format_tables, write_report

DTYPES = ('float32', 'bfloat16', 'float16', 'float64')
DEVICES = ('cpu', 'cuda')

# The settings that vary one at a time, and what they are called in a case.
_AXES = {'sizes': 'size', 'channels': 'channels', 'batches': 'batch', 'threads': 'threads'}


@dataclass
class BenchmarkSettings:
    """What to measure and how.

    Of sizes, channels, batches and threads, the first of each is measured together; their other
    values take its place one at a time.

    Attributes:
        sizes (list[int]): Sides of the low-res maps in pixels. Defaults to [120].
        channels (list[int]): C, multiples of SAPA-D's four groups. Defaults to [256].
        batches (list[int]): N. Defaults to [1].
        threads (list[int], optional): CPU threads. Defaults to torch's current number.
        dtypes (list[str]): Of ``DTYPES``. Defaults to ['float32', 'bfloat16'].
        layouts (list[str]): Of ``LAYOUTS``. Defaults to both.
        passes (list[str]): Of ``PASSES``. Defaults to both.
        kinds (list[str]): Of ``KINDS``. Defaults to ['pipelines', 'operators'].
        forms (list[str]): Forms of the operators. Defaults to ['compiled'].
        imports (list[str]): Modules with more upsamplers, see
            ``import_upsamplers``. Defaults to none.
        device (str, optional): 'cpu' or 'cuda'. Defaults to 'cuda' if available.
        pages (list[str], optional): Of ``PAGES``: whether results are written into memory fresh
            from the kernel, as malloc gives it for large maps, or into memory that was used
            before. Defaults to both on a CPU, to ['reused'], which is all there is, on a GPU.
        repeats (int): Maximum number of runs of a contestant, 3 or more. Defaults to 20.
        budget (float): Seconds of running time per contestant; it runs three times in any case.
            Defaults to 3.
        seed (int): Seed of inputs, weights and the order of runs. Defaults to 0.
        memory (bool): Whether to measure peak memory; on a CPU each contestant then runs in a
            separate process. Defaults to True.
        out (str): Folder for the results. Defaults to 'work_dirs/benchmark'.

    Raises:
        ValueError: If a value is not allowed, or an import fails.
        OSError: If out cannot be written to.
    """

    sizes: list[int] = field(default_factory=lambda: [120])
    channels: list[int] = field(default_factory=lambda: [256])
    batches: list[int] = field(default_factory=lambda: [1])
    threads: list[int] | None = None
    dtypes: list[str] = field(default_factory=lambda: ['float32', 'bfloat16'])
    layouts: list[str] = field(default_factory=lambda: list(LAYOUTS))
    passes: list[str] = field(default_factory=lambda: list(PASSES))
    kinds: list[str] = field(default_factory=lambda: ['pipelines', 'operators'])
    forms: list[str] = field(default_factory=lambda: ['compiled'])
    imports: list[str] = field(default_factory=list)
    device: str | None = None
    pages: list[str] | None = None
    repeats: int = 20
    budget: float = 3.0
    seed: int = 0
    memory: bool = True
    out: str = 'work_dirs/benchmark'

    def __post_init__(self):
        if self.device is None:
            self.device = 'cuda' if torch.cuda.is_available() else 'cpu'
        if self.threads is None:
            self.threads = [torch.get_num_threads()]
        if self.pages is None:
            self.pages = list(PAGES) if self.device == 'cpu' else ['reused']
        allowed = dict(
            dtypes=DTYPES, layouts=LAYOUTS, passes=PASSES, kinds=KINDS, forms=FORMS, pages=PAGES
        )
        for option, choices in allowed.items():
            self._check_choices(option, choices)
        self._check(self.device in DEVICES, 'device', f'one of {", ".join(DEVICES)}')
        for option in _AXES:
            values = list(dict.fromkeys(getattr(self, option)))
            self._check(min(values, default=0) >= 1, option, 'one or more positive numbers')
            setattr(self, option, values)
        fits = all(channels % GROUPS == 0 for channels in self.channels)
        self._check(fits, 'channels', f"multiples of {GROUPS}, SAPA-D's groups")
        self._check(self.repeats >= FEWEST_RUNS, 'repeats', f'{FEWEST_RUNS} or more')
        self._check(0 <= self.seed < 2**32, 'seed', 'from 0 to 2**32 - 1')
        self._check(self.budget > 0, 'budget', 'a positive number of seconds')
        fits = self.device == 'cpu' or self.pages == ['reused']
        self._check(fits, 'pages', 'reused on a GPU')
        if self.device == 'cuda' and not torch.cuda.is_available():
            raise ValueError('device: torch sees no GPU here; cpu is allowed')
        check_writable(self.out, 'out', is_folder=True)
        for module in self.imports:
            import_upsamplers(module)

    def _check(self, holds: bool, option: str, allowed: str) -> None:
        if not holds:
            raise ValueError(f'{option} must be {allowed}, got {getattr(self, option)!r}')

    def _check_choices(self, option: str, choices: Sequence[str]) -> None:
        values = list(dict.fromkeys(getattr(self, option)))
        fits = values and set(values) <= set(choices)
        self._check(fits, option, f'one or more of {", ".join(choices)}')
        setattr(self, option, values)


def run_benchmark(settings: BenchmarkSettings) -> dict[str, Any]:
    """Measures, prints the tables and writes ``benchmark.json``, ``.md`` and ``.png``.

    A script that calls this needs ``if __name__ == '__main__'``, because it starts processes.

    Args:
        settings (BenchmarkSettings): What to measure.

    Returns:
        dict: The content of ``benchmark.json``: the run's conditions, ``notes`` on what was not
        measured and why, ``cliffs``, and ``results``. A result has the ``kind``, ``name`` and
        ``form`` of its contestant; ``size``, ``channels``, ``batch``, ``threads``, ``dtype``,
        ``layout`` and ``pass`` of its case; the number of ``values`` in its output,
        ``bytes_to_move``, ``operations``, ``memory`` (all in MB of 10^6 bytes; None if not
        measured); for each of the pages its times, see ``add_ratios``; and how near it comes to
        the machine's bounds, ``bound``, ``bound_ms`` and ``reached``.
    """
    threads_before = torch.get_num_threads()
    load_before = os.getloadavg()
    results: list[dict[str, Any]] = []
    notes: list[str] = []
    try:
        for point, dtype in product(_points(settings), settings.dtypes):
            torch.set_num_threads(point['threads'])
            comparable = _measure(point, dtype, settings, notes)
            add_ratios(comparable)
            results += comparable
    finally:
        torch.set_num_threads(threads_before)
    report = {
        **describe_conditions(settings.device),
        'settings': asdict(settings),
        'load_average': [load_before[0], os.getloadavg()[0]],
        'notes': notes,
        'cliffs': find_cliffs(results),
        'results': results,
    }
    print(format_tables(results))
    for line in [*notes, *report['cliffs'], *write_report(report, settings.out)]:
        print(line)
    return report


def _points(settings: BenchmarkSettings) -> Iterator[dict[str, int]]:
    """Yields the first values of all axes, and with each of the other values in their place."""
    axes = {axis: getattr(settings, option) for option, axis in _AXES.items()}
    base = {axis: values[0] for axis, values in axes.items()}
    yield base
    yield from ({**base, axis: value} for axis, values in axes.items() for value in values[1:])


def _measure(
    point: dict[str, int], dtype: str, settings: BenchmarkSettings, notes: list[str]
) -> list[dict[str, Any]]:
    """Measures one point and dtype, whose results are comparable."""
    entries = _list_entries(point, dtype, settings, notes)
    where = ', '.join(f'{axis} {value}' for axis, value in point.items())
    timings = {}
    for pages in settings.pages or ():
        _progress(f'{where}, {dtype}: time of {len(entries)} contestants, {pages} memory')
        timings[pages] = time_with_pages(
            pages, entries, settings.repeats, settings.budget, settings.seed
        )
    if settings.memory:
        _progress(f'{where}, {dtype}: memory')
    results = []
    for number, (contestant, case) in enumerate(entries):
        times: dict[str, Timing] = {}
        for pages, all_timings in timings.items():
            timing = all_timings[number]
            if isinstance(timing, Timing):
                times[pages] = timing
            elif (note := _not_measured('time', contestant, case, timing)) not in notes:
                notes.append(note)
        if times:
            result = _new_result(contestant, case, times)
            if settings.memory:
                result['memory'] = _measure_memory(contestant, case, notes)
            results.append(result)
    return results


def _list_entries(
    point: dict[str, int], dtype: str, settings: BenchmarkSettings, notes: list[str]
) -> list[tuple[Contestant, Case]]:
    forms = []
    for form in settings.forms:
        reason = why_not(form, dtype, settings.device)
        if reason is None:
            forms.append(form)
        elif (note := f'{form}, {dtype}: not measured: {reason}') not in notes:
            notes.append(note)
    entries = []
    for layout, direction in product(settings.layouts, settings.passes):
        case = Case(
            **point,
            dtype=dtype,
            layout=layout,
            direction=direction,
            device=settings.device,
            seed=settings.seed,
        )
        contestants = list_contestants(settings.kinds, forms, case, settings.imports)
        entries += [(contestant, case) for contestant in contestants]
    return entries


def _new_result(contestant: Contestant, case: Case, times: dict[str, Timing]) -> dict[str, Any]:
    timing = next(iter(times.values()))
    return {
        'kind': contestant.kind,
        'name': contestant.name,
        'form': contestant.form,
        'size': case.size,
        'channels': case.channels,
        'batch': case.batch,
        'threads': case.threads,
        'dtype': case.dtype,
        'layout': case.layout,
        'pass': case.direction,
        'values': timing.values,
        'bytes_to_move': timing.bytes_to_move,
        'operations': timing.operations,
        'memory': None,
        **{pages: _summary(timing.seconds) for pages, timing in times.items()},
    }


def _summary(seconds: Sequence[float]) -> dict[str, Any]:
    tenths = statistics.quantiles(seconds, n=10, method='inclusive')
    return {
        'median_ms': 1e3 * statistics.median(seconds),
        'min_ms': 1e3 * min(seconds),
        'spread': tenths[-1] / tenths[0],
        'count': len(seconds),
    }


def _measure_memory(
    contestant: Contestant, case: Case, notes: list[str]
) -> dict[str, float] | None:
    if contestant.name in ('copy', 'product'):
        return None  # they are there for the machine's bounds
    try:
        return measure_memory(contestant, case)
    except RuntimeError as error:
        notes.append(_not_measured('memory', contestant, case, one_line(error)))
    return None


def _not_measured(what: str, contestant: Contestant, case: Case, reason: str) -> str:
    where = f'size {case.size}, {case.dtype}, {case.layout}, {case.direction}'
    return f'{contestant}, {where}: {what} not measured: {reason}'


def _progress(message: str) -> None:
    print(message, file=sys.stderr, flush=True)
