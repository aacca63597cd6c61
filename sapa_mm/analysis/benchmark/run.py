"""Runs the benchmark: time and memory of operators and upsamplers, and their ratios."""

import datetime
import shlex
import statistics
import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from itertools import product
from typing import Any

import sapa_ops
import torch

from ...utils.files import check_writable
from ...utils.text import one_line
from ..machine import cpu_model
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
from .measure import FEWEST_RUNS, Timing, measure_memory, time_contestants
from .report import add_ratios, format_table, write_report

DTYPES = ('float32', 'bfloat16', 'float16', 'float64')
DEVICES = ('cpu', 'cuda')


@dataclass
class BenchmarkSettings:
    """What to measure and how.

    Attributes:
        sizes (list[int]): Sides of the low-res maps in pixels. Defaults to [120].
        channels (int): C, a multiple of SAPA-D's four groups. Defaults to 256.
        batch (int): N. Defaults to 1.
        dtypes (list[str]): Of ``DTYPES``. Defaults to ['float32'].
        layouts (list[str]): Of ``LAYOUTS``. Defaults to both.
        passes (list[str]): Of ``PASSES``. Defaults to both.
        kinds (list[str]): Of ``KINDS``. Defaults to all.
        forms (list[str]): Forms of the operators. Defaults to both.
        imports (list[str]): Modules with more upsamplers, see
            ``import_upsamplers``. Defaults to none.
        device (str, optional): 'cpu' or 'cuda'. Defaults to 'cuda' if available.
        threads (int, optional): CPU threads. Defaults to torch's current number.
        repeats (int): Maximum number of runs of a contestant, 3 or more. Defaults to 20.
        budget (float): Seconds of running time per contestant; it runs three times in any case.
            Defaults to 10.
        seed (int): Seed of inputs, weights and the order of runs. Defaults to 0.
        memory (bool): Whether to measure peak memory; on a CPU each contestant then runs in a
            separate process. Defaults to True.
        out (str): Folder for the results. Defaults to 'work_dirs/benchmark'.

    Raises:
        ValueError: If a value is not allowed, or an import fails.
        OSError: If out cannot be written to.
    """

    sizes: list[int] = field(default_factory=lambda: [120])
    channels: int = 256
    batch: int = 1
    dtypes: list[str] = field(default_factory=lambda: ['float32'])
    layouts: list[str] = field(default_factory=lambda: list(LAYOUTS))
    passes: list[str] = field(default_factory=lambda: list(PASSES))
    kinds: list[str] = field(default_factory=lambda: list(KINDS))
    forms: list[str] = field(default_factory=lambda: list(FORMS))
    imports: list[str] = field(default_factory=list)
    device: str | None = None
    threads: int | None = None
    repeats: int = 20
    budget: float = 10.0
    seed: int = 0
    memory: bool = True
    out: str = 'work_dirs/benchmark'

    def __post_init__(self):
        if self.device is None:
            self.device = 'cuda' if torch.cuda.is_available() else 'cpu'
        if self.threads is None:
            self.threads = torch.get_num_threads()
        allowed = dict(dtypes=DTYPES, layouts=LAYOUTS, passes=PASSES, kinds=KINDS, forms=FORMS)
        for option, choices in allowed.items():
            self._check_choices(option, choices)
        self._check(self.device in DEVICES, 'device', f'one of {", ".join(DEVICES)}')
        for option, least in dict(batch=1, threads=1, repeats=FEWEST_RUNS).items():
            self._check(getattr(self, option) >= least, option, f'{least} or more')
        self._check(0 <= self.seed < 2**32, 'seed', 'from 0 to 2**32 - 1')
        self._check(min(self.sizes, default=0) >= 1, 'sizes', 'one or more positive numbers')
        self._check(self.budget > 0, 'budget', 'a positive number of seconds')
        multiple = self.channels > 0 and self.channels % GROUPS == 0
        self._check(multiple, 'channels', f"a positive multiple of {GROUPS}, SAPA-D's groups")
        if self.device == 'cuda' and not torch.cuda.is_available():
            raise ValueError('device: torch sees no GPU here; cpu is allowed')
        check_writable(self.out, 'out', is_folder=True)
        for module in self.imports:
            import_upsamplers(module)
        self.sizes = sorted(set(self.sizes))

    def _check(self, holds: bool, option: str, allowed: str) -> None:
        if not holds:
            raise ValueError(f'{option} must be {allowed}, got {getattr(self, option)!r}')

    def _check_choices(self, option: str, choices: Sequence[str]) -> None:
        values = list(dict.fromkeys(getattr(self, option)))
        fits = values and set(values) <= set(choices)
        self._check(fits, option, f'one or more of {", ".join(choices)}')
        setattr(self, option, values)


def run_benchmark(settings: BenchmarkSettings) -> dict[str, Any]:
    """Measures, prints the table and writes ``benchmark.json``, ``.md`` and ``.png``.

    A script that calls this needs ``if __name__ == '__main__'``, because it starts processes.

    Args:
        settings (BenchmarkSettings): What to measure.

    Returns:
        dict: The content of ``benchmark.json``: the run's conditions, ``notes`` on what was not
        measured and why, and ``results``. A result has the ``kind``, ``name`` and ``form`` of its
        contestant, ``size``, ``dtype``, ``layout`` and ``pass`` of its case, ``median_ms``,
        ``min_ms``, ``count``, ``bytes_to_move``, ``memory`` (all in MB of 10^6 bytes; None if not
        measured) and ``ratios`` (None where there is nothing to compare).
    """
    threads_before = torch.get_num_threads()
    torch.set_num_threads(settings.threads)
    results: list[dict[str, Any]] = []
    notes: list[str] = []
    try:
        for size, dtype in product(settings.sizes, settings.dtypes):
            comparable = _measure(size, dtype, settings, notes)
            add_ratios(comparable)
            results += comparable
        report = {**_conditions(settings), 'notes': notes, 'results': results}
    finally:
        torch.set_num_threads(threads_before)
    print(format_table(results))
    for line in [*notes, *write_report(report, settings.out)]:
        print(line)
    return report


def _measure(
    size: int, dtype: str, settings: BenchmarkSettings, notes: list[str]
) -> list[dict[str, Any]]:
    """Measures one size and dtype, whose results are comparable."""
    entries = _list_entries(size, dtype, settings, notes)
    _progress(f'size {size}, {dtype}: time of {len(entries)} contestants')
    timings = time_contestants(entries, settings.repeats, settings.budget, settings.seed)
    results = []
    if settings.memory:
        _progress(f'size {size}, {dtype}: memory')
    for (contestant, case), timing in zip(entries, timings, strict=True):
        if isinstance(timing, Exception):
            notes.append(_not_measured('time', contestant, case, timing))
            continue
        result = _new_result(contestant, case, timing)
        if settings.memory:
            result['memory'] = _measure_memory(contestant, case, settings.threads, notes)
        results.append(result)
    return results


def _list_entries(
    size: int, dtype: str, settings: BenchmarkSettings, notes: list[str]
) -> list[tuple[Contestant, Case]]:
    forms = []
    for form in settings.forms:
        reason = _why_not(form, dtype, settings.device)
        if reason is None:
            forms.append(form)
        else:
            notes.append(f'{form}, {dtype}: not measured: {reason}')
    entries = []
    for layout, direction in product(settings.layouts, settings.passes):
        case = Case(
            size=size,
            dtype=dtype,
            layout=layout,
            direction=direction,
            channels=settings.channels,
            batch=settings.batch,
            device=settings.device,
            seed=settings.seed,
        )
        contestants = list_contestants(settings.kinds, forms, case, settings.imports)
        entries += [(contestant, case) for contestant in contestants]
    return entries


def _why_not(form: str, dtype: str, device: str) -> str | None:
    """Why the operators cannot run in a form; None if they can."""
    tensor = torch.empty(0, dtype=getattr(torch, dtype), device=device)
    with sapa_ops.use_backend(form):
        try:
            sapa_ops.backend_for(tensor)
        except RuntimeError as error:
            return str(error)
    return None


def _new_result(contestant: Contestant, case: Case, timing: Timing) -> dict[str, Any]:
    return {
        'kind': contestant.kind,
        'name': contestant.name,
        'form': contestant.form,
        'size': case.size,
        'dtype': case.dtype,
        'layout': case.layout,
        'pass': case.direction,
        'bytes_to_move': timing.bytes_to_move,
        'memory': None,
        'median_ms': 1e3 * statistics.median(timing.seconds),
        'min_ms': 1e3 * min(timing.seconds),
        'count': len(timing.seconds),
    }


def _measure_memory(
    contestant: Contestant, case: Case, threads: int, notes: list[str]
) -> dict[str, float] | None:
    if contestant.name == 'copy':
        return None  # its result exists beforehand
    try:
        return measure_memory(contestant, case, threads)
    except RuntimeError as error:
        notes.append(_not_measured('memory', contestant, case, error))
    return None


def _conditions(settings: BenchmarkSettings) -> dict[str, Any]:
    device = torch.cuda.get_device_name() if settings.device == 'cuda' else cpu_model()
    capability = None
    if _why_not('compiled', 'float32', 'cpu') is None:
        capability = torch.ops.sapa_ops_compiled.cpu_capability()
    return {
        'command': shlex.join(['python', *sys.argv]),
        'date': datetime.datetime.now().astimezone().isoformat(timespec='seconds'),
        'device': device,
        'threads': torch.get_num_threads(),
        'torch': torch.__version__,
        'sapa_ops': sapa_ops.__version__,
        'cpu_capability': capability,
        'settings': asdict(settings),
    }


def _not_measured(what: str, contestant: Contestant, case: Case, error: Exception) -> str:
    where = f'size {case.size}, {case.dtype}, {case.layout}, {case.direction}'
    return f'{contestant}, {where}: {what} not measured: {one_line(error)}'


def _progress(message: str) -> None:
    print(message, file=sys.stderr, flush=True)
