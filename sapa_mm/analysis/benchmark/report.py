"""The benchmark's results as tables, as files and as a picture."""

import io
import json
import os
from collections.abc import Sequence
from itertools import pairwise, product
from typing import Any

from ...utils.files import whole_file
from ...utils.text import markdown_table
from .conditions import format_conditions
from .contestants import Contestant

#: What varies one at a time; the first result has the values that the others keep.
AXES = ('size', 'channels', 'batch', 'threads')

_CONDITIONS = ('dtype', 'layout', 'pass')
_CASE = (*AXES, *_CONDITIONS)
_BOUNDS = ('copy', 'product')
_CLIFF = 1.5

_METHOD = """\
- A map (N, C, size, size) is upsampled to twice its size.
- All contestants of a size and dtype run in turns, after a warm-up, each round in another order.
  Times are medians of up to {repeats} runs; slow contestants run less often ({budget:g} s each,
  never under 3 runs), spread over the whole time. {clock}
- {memory_kind}
- `forward` runs without gradients; `forward+backward` goes on to the gradients of all inputs and
  parameters.
- A pipeline is similarity, softmax and assembly: `sapa_b` in windows of side 5 with 32 channels,
  `sapa_d` at 9 points in 4 groups of 32 channels. An upsampler includes its projections.
- Sizes, channels, batch and threads vary one at a time, and what they cost for each output value is
  that of the fastest run: they are not timed in turns.
- `/ bilinear`: time over that of bilinear interpolation of the same map.
- `MB`: bytes that must move: inputs, output, gradients, each once; not what passes between the
  parts of a pipeline. `GFLOP`: operations, two for each multiply-add of operators, convolutions
  and matrix products; those of interpolation and softmax do not count.
- `bound, ms`: the time that the machine needs at least, to move these bytes at the rate of a copy
  (of a map of the output's size into one that exists, read and written) or for these operations at
  the rate of a float32 matrix product (512x512, in the caches), whichever is longer. Both rates
  were measured in turns with the rest, with memory reused. They are what plain PyTorch reaches
  here, so a kernel may go beyond: a copy also reads the lines that it overwrites, and matrix
  products stay some percent below the machine's peak. `reached`: bound over time.
- `extra memory`: peak beyond inputs, output and gradients, and in % of the output. Without
  gradients a pipeline's weights after the softmax do not count either (those before it are
  freed by then). {peak}
- A spread is the 90 % quantile of bilinear's times over the 10 % quantile: near 1 on a quiet
  machine.
"""
_CLOCK = {
    'cpu': 'Times\n  are wall time; freeing the results does not count.',
    'cuda': 'Times\n  are between events on the GPU, which stays busy while work is launched; '
    'its cache is flushed\n  before each run.',
}
_PAGES = {
    'cpu': '`fresh`: for results of 1 MB and more, glibc asks the kernel for new pages each '
    'time,\n  which are zeroed as they are first written. `reused`: it keeps what was freed '
    '(by\n  `MALLOC_MMAP_THRESHOLD_`, `MALLOC_TRIM_THRESHOLD_`), so that no page is new.',
    'cuda': "Memory is reused, by torch's allocator.",
}
_MEMORY = {
    'cpu': 'Measured as resident memory, each in a process of its own; 1 MB is\n  noise.',
    'cuda': "Measured by torch's allocator.",
}


def add_ratios(results: Sequence[dict[str, Any]]) -> None:
    """Compares results that were timed in turns; what has nothing to compare with is None.

    Args:
        results (Sequence[dict]): See ``run_benchmark``. The times of each of the pages get
            ``to_bilinear``, the median over that of bilinear interpolation. A result gets
            ``bound_ms``, the time in which the machine moves its bytes at the rate of ``copy`` or
            does its operations at that of ``product``, whichever is longer (``bound``), and
            ``reached``, the bound over the median with memory reused.
    """
    baselines = {(r['name'], _case(r)): r for r in results if r['kind'] == 'baselines'}
    for result in results:
        bilinear, copy, matrix = (
            baselines.get((name, _case(result))) for name in ('bilinear', *_BOUNDS)
        )
        for pages in _pages(result):
            reference = bilinear and bilinear[pages]['median_ms']
            times = result[pages]
            times['to_bilinear'] = times['median_ms'] / reference if reference else None
        result['bound'] = result['bound_ms'] = result['reached'] = None
        if copy and matrix and 'reused' in result:
            moving = result['bytes_to_move'] / copy['bytes_to_move']
            computing = result['operations'] / matrix['operations']
            bounds = {
                'copy': moving * copy['reused']['median_ms'],
                'product': computing * matrix['reused']['median_ms'],
            }
            result['bound'] = max(bounds, key=lambda name: bounds[name])
            result['bound_ms'] = bounds[result['bound']]
            result['reached'] = result['bound_ms'] / result['reused']['median_ms']


def find_cliffs(results: Sequence[dict[str, Any]]) -> list[str]:
    """Finds neighbours on an axis whose costs for an output value differ by more than half.

    Args:
        results (Sequence[dict]): See ``run_benchmark``.

    Returns:
        list[str]: A line for each pair.
    """
    lines = []
    for axis, condition in product(_varied(results), _distinct(results, *_CONDITIONS)):
        for label, points in _curves(results, axis, condition).items():
            for one, other in pairwise(points):
                costs = _cost(one), _cost(other)
                if max(costs) > _CLIFF * min(costs):
                    lines.append(
                        f'Cliff: {label}, {", ".join(condition)}: {costs[0]:.3g} ns at {axis} '
                        f'{one[axis]}, {costs[1]:.3g} ns at {other[axis]}'
                    )
    return lines


def format_tables(results: Sequence[dict[str, Any]]) -> str:
    """Formats results as Markdown: a table for each case, and one for each axis that varies.

    Args:
        results (Sequence[dict]): See ``run_benchmark``.

    Returns:
        str: The headings and tables.
    """
    parts = []
    for case in _distinct(_at_base(results), *_CASE):
        parts += _case_parts([result for result in results if _case(result) == case])
    for axis, condition in product(_varied(results), _distinct(results, *_CONDITIONS)):
        curves = _curves(results, axis, condition)
        values = sorted({result[axis] for result in results})
        rows = []
        for label, points in curves.items():
            costs = {point[axis]: f'{_cost(point):.3g}' for point in points}
            rows.append([label, *(costs.get(value, '') for value in values)])
        title = f'Against {axis}: {", ".join(condition)}, ns of a core for each output value'
        parts += [f'### {title}', _table([axis, *map(str, values)], rows)]
    return '\n\n'.join(parts)


def _case_parts(results: Sequence[dict[str, Any]]) -> list[str]:
    """The heading, the machine's bounds, and the table of a case."""
    first = results[0]
    shape = f'{first["batch"]}x{first["channels"]}x{first["size"]}x{first["size"]}'
    threads = f'{first["threads"]} thread{"s" if first["threads"] > 1 else ""}'
    title = ', '.join([shape, threads, *(first[key] for key in _CONDITIONS)])
    lines = []
    by_name = {result['name']: result for result in results if result['kind'] == 'baselines'}
    if first['bound_ms'] is not None:
        copy, matrix = (by_name[name] for name in _BOUNDS)
        bandwidth = copy['bytes_to_move'] / copy['reused']['median_ms'] / 1e6
        rate = matrix['operations'] / matrix['reused']['median_ms'] / 1e6
        lines = [f'Copy: {bandwidth:.1f} GB/s; matrix product: {rate:.0f} GFLOP/s.']
    if 'bilinear' in by_name:
        bilinear = by_name['bilinear']
        spreads = [f'{bilinear[pages]["spread"]:.2f} ({pages})' for pages in _pages(bilinear)]
        lines.append(f'Spread: {", ".join(spreads)}.')
    shown = [result for result in results if result['name'] not in _BOUNDS]
    header = ['what']
    for pages in _pages(first):
        header += [f'{pages}, ms', '/ bilinear']
    header += ['MB', 'GFLOP', 'bound, ms', 'reached']
    with_memory = any(result['memory'] for result in shown)
    header += ['extra memory'] if with_memory else []
    rows = [_cells(result, _pages(first), with_memory) for result in shown]
    return [f'### {title}', ' '.join(lines), _table(header, rows)]


def _cells(result: dict[str, Any], all_pages: Sequence[str], with_memory: bool) -> list[str]:
    cells = [_label(result)]
    for pages in all_pages:
        times = result.get(pages)
        cells.append(_digits(times['median_ms']) if times else '')
        cells.append(_number(times['to_bilinear'], '.2f') if times else '')
    cells += [
        _digits(result['bytes_to_move'] / 1e6),
        f'{result["operations"] / 1e9:.3g}' if result['operations'] else '',
        f'{_digits(result["bound_ms"])} ({result["bound"]})' if result['bound'] else '',
        _number(result['reached'], '.0%'),
    ]
    if with_memory:
        memory = result['memory']
        extra = f'{memory["extra"]:.1f} MB ({round(memory["extra_percent"])} %)' if memory else ''
        cells.append(extra)
    return cells


def _table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Formats a table whose columns are aligned, the first to the left."""
    widths = [max(map(len, column)) for column in zip(header, *rows, strict=True)]
    padded = [
        [row[0].ljust(widths[0]), *(c.rjust(w) for c, w in zip(row[1:], widths[1:], strict=True))]
        for row in (header, *rows)
    ]
    return markdown_table(padded[0], padded[1:], 'l' + 'r' * (len(header) - 1))


def _digits(value: float) -> str:
    """Format with three digits, or all those before the point."""
    return f'{value:.3g}' if value < 1000 else f'{value:.0f}'


def _number(value: float | None, form: str) -> str:
    return '' if value is None else format(value, form)


def _label(result: dict[str, Any]) -> str:
    form = None if result['form'] == 'compiled' else result['form']
    return str(Contestant(result['kind'], result['name'], form))


def _pages(result: dict[str, Any]) -> list[str]:
    return [pages for pages in ('fresh', 'reused') if pages in result]


def _cost(result: dict[str, Any]) -> float:
    """Nanoseconds of a core for each output value, with memory reused if that was measured."""
    # The fastest run: points of an axis are not timed in turns, and other load changes meanwhile.
    return 1e6 * result[_pages(result)[-1]]['min_ms'] * result['threads'] / result['values']


def _case(result: dict[str, Any]) -> tuple:
    return tuple(result[key] for key in _CASE)


def _distinct(results: Sequence[dict[str, Any]], *keys: str) -> list[tuple]:
    return list(dict.fromkeys(tuple(result[key] for key in keys) for result in results))


def _varied(results: Sequence[dict[str, Any]]) -> list[str]:
    return [axis for axis in AXES if len(_distinct(results, axis)) > 1]


def _at_base(results: Sequence[dict[str, Any]], but: str | None = None) -> list[dict[str, Any]]:
    """The results that have the first one's values on all axes, but for one."""
    same = [axis for axis in AXES if axis != but]
    return [one for one in results if all(one[axis] == results[0][axis] for axis in same)]


def _curves(
    results: Sequence[dict[str, Any]], axis: str, condition: tuple
) -> dict[str, list[dict[str, Any]]]:
    """The results along an axis under a condition, by what ran, in the axis' order."""
    curves: dict[str, list[dict[str, Any]]] = {}
    for result in sorted(_at_base(results, but=axis), key=lambda result: result[axis]):
        if _distinct([result], *_CONDITIONS) == [condition] and result['name'] not in _BOUNDS:
            curves.setdefault(_label(result), []).append(result)
    return curves


def write_report(report: dict[str, Any], out: str) -> list[str]:
    """Writes ``benchmark.json``, ``benchmark.md`` and, if something varies, ``benchmark.png``.

    Args:
        report (dict): See ``sapa_mm.analysis.benchmark.run.run_benchmark``.
        out (str): The folder; made if missing.

    Returns:
        list[str]: Lines that say what was written, and why a picture was not.
    """
    picture, why_not = _draw(report['results'])
    files = {'benchmark.json': json.dumps(report, indent=1).encode()}
    if picture:
        files['benchmark.png'] = picture
    files['benchmark.md'] = _format_page(report, picture is not None).encode()
    lines = []
    for name, content in files.items():
        path = os.path.join(out, name)
        with whole_file(path) as partial, open(partial, 'wb') as file:
            file.write(content)
        lines.append(f'Written: {path}')
    return lines if picture else [*lines, f'No picture: {why_not}']


def _format_page(report: dict[str, Any], with_picture: bool) -> str:
    settings = report['settings']
    device = settings['device']
    method = _METHOD.format(
        clock=_CLOCK[device], memory_kind=_PAGES[device], peak=_MEMORY[device], **settings
    )
    parts = [
        '# Benchmark',
        format_conditions(report),
        format_tables(report['results']),
        '\n'.join(f'- {line}' for line in [*report['notes'], *report['cliffs']]),
        '![Cost of an output value](benchmark.png)' if with_picture else '',
        '## How it was measured',
        method + f'\n```bash\n{report["command"]}\n```',
    ]
    return '\n\n'.join(part for part in parts if part) + '\n'


def _draw(results: Sequence[dict[str, Any]]) -> tuple[bytes | None, str]:
    """Draws costs against what varies as a PNG; returns None and the reason if it cannot."""
    axes = _varied(results)
    if not axes:
        return None, 'it shows cost against size, channels, batch or threads, and none varies'
    try:
        from matplotlib.figure import Figure
    except ImportError:
        return None, 'matplotlib is not installed'
    conditions = _distinct(results, *_CONDITIONS)
    figure = Figure(figsize=(4.2 * len(axes) + 1.6, 3.6 * len(conditions)), layout='constrained')
    panels = figure.subplots(len(conditions), len(axes), squeeze=False, sharey='row')
    for (row, condition), (column, axis) in product(enumerate(conditions), enumerate(axes)):
        panel = panels[row, column]
        for label, points in _curves(results, axis, condition).items():
            values = [point[axis] for point in points]
            panel.plot(values, list(map(_cost, points)), 'o-', ms=4, label=label)
        panel.set(xscale='log', yscale='log', xlabel=axis)
        ticks = sorted({result[axis] for result in results})
        panel.set_xticks(ticks, [f'{tick:,}' for tick in ticks], fontsize=8)
        panel.set_xticks([], minor=True)
        panel.grid(axis='y', which='both', alpha=0.3)
        panel.set_title(', '.join(condition), fontsize=10)
    for row in panels:
        row[0].set_ylabel('ns of a core for each output value')
        row[-1].legend(fontsize=8, loc='center left', bbox_to_anchor=(1, 0.5))
    buffer = io.BytesIO()
    figure.savefig(buffer, dpi=100, format='png')
    return buffer.getvalue(), ''
