"""The benchmark's results as a table, as files and as a picture."""

import io
import json
import math
import os
from collections.abc import Callable, Sequence
from itertools import product
from typing import Any

from ...utils.files import whole_file
from ...utils.text import markdown_table
from .contestants import SCALE, Contestant

_COLUMNS = (
    'what',
    'form',
    'size',
    'dtype',
    'layout',
    'pass',
    'ms',
    '/ bilinear',
    'eager / compiled',
    '/ contiguous',
    'of copy bandwidth',
    'extra memory',
)
_TEXT_COLUMNS = 6

_METHOD = """\
- A map (N, C, size, size) = ({batch}, {channels}, size, size) is upsampled to twice its size.
- All contestants of a size and dtype run in turns in one process, after a warm-up, each round in
  another order. Times are medians of up to {repeats} runs; slow contestants run less often
  ({budget:g} s each, never under 3 runs), spread over the whole time.
- {clock}
- `forward` runs without gradients; `forward+backward` goes on to the gradients of all inputs and
  parameters.
- A pipeline is similarity, softmax and assembly: `sapa_b` in windows of side 5 with 32 channels,
  `sapa_d` at 9 points in 4 groups of 32 channels. An upsampler includes its projections.
- `/ bilinear`: time over that of bilinear interpolation of the same map. `eager / compiled`: how
  many times faster the compiled form is. `/ contiguous`: channels_last over contiguous.
- `of copy bandwidth`: bytes that must move (inputs, output, gradients, each once) per time, over
  the same for `copy`, which copies a map of the output's size into one that exists. `clone`
  copies it into a new one: on a CPU, new memory costs time, for everything but `copy`.
- `extra memory`: peak beyond inputs, output and gradients, and in % of the output. Without
  gradients a pipeline's weights after the softmax do not count either (those before it are
  freed by then). {peak}
"""
_CLOCK = {
    'cpu': 'Times are wall time; freeing the results does not count.',
    'cuda': 'Times are between events on the GPU, which stays busy while work is launched; its '
    'cache is\n  flushed before each run.',
}
_MEMORY = {
    'cpu': 'Measured as resident memory, each in a process of its own; 1 MB is\n  noise.',
    'cuda': "Measured by torch's allocator.",
}


def add_ratios(results: Sequence[dict[str, Any]]) -> None:
    """Adds ``ratios`` to results that were timed in turns; None where one to compare is missing.

    Args:
        results (Sequence[dict]): See ``run_benchmark``. Each
            gets ``to_bilinear``, its time over that of bilinear interpolation; for the compiled
            form ``eager_to_this``; for channels_last ``to_contiguous``; and
            ``copy_bandwidth_share``, the rate at which it moves its bytes over that of a copy.
    """
    peers = {_key(result): result for result in results}

    def peer(result: dict[str, Any], **other: Any) -> dict[str, Any] | None:
        return peers.get(_key({**result, **other}))

    for result in results:
        is_compiled = result['form'] == 'compiled'
        is_channels_last = result['layout'] == 'channels_last'
        bilinear, copy = (
            peer(result, kind='baselines', name=name, form=None) for name in ('bilinear', 'copy')
        )
        eager = peer(result, form='eager') if is_compiled else None
        contiguous = peer(result, layout='contiguous') if is_channels_last else None
        result['ratios'] = {
            'to_bilinear': _quotient(_time, result, bilinear),
            'eager_to_this': _quotient(_time, eager, result),
            'to_contiguous': _quotient(_time, result, contiguous),
            'copy_bandwidth_share': _quotient(_bandwidth, result, copy),
        }


def _key(result: dict[str, Any]) -> tuple:
    return tuple(result[k] for k in ('kind', 'name', 'form', 'size', 'dtype', 'layout', 'pass'))


def _time(result: dict[str, Any]) -> float:
    return result['median_ms']


def _bandwidth(result: dict[str, Any]) -> float:
    return result['bytes_to_move'] / result['median_ms']


def _quotient(
    quantity: Callable[[dict[str, Any]], float],
    first: dict[str, Any] | None,
    second: dict[str, Any] | None,
) -> float | None:
    return quantity(first) / quantity(second) if first and second else None


def format_table(results: Sequence[dict[str, Any]]) -> str:
    """Formats results as a Markdown table.

    Args:
        results (Sequence[dict]): See ``sapa_mm.analysis.benchmark.run.run_benchmark``.

    Returns:
        str: The table, its columns aligned.
    """
    rows = [_COLUMNS, *(_cells(result) for result in results)]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    align = 'l' * _TEXT_COLUMNS + 'r' * (len(_COLUMNS) - _TEXT_COLUMNS)
    header, *padded = (
        [
            cell.ljust(width) if side == 'l' else cell.rjust(width)
            for cell, width, side in zip(row, widths, align, strict=True)
        ]
        for row in rows
    )
    return markdown_table(header, padded, align)


def _cells(result: dict[str, Any]) -> tuple[str, ...]:
    ratios, memory = result['ratios'], result['memory']
    return (
        str(Contestant(result['kind'], result['name'])),
        result['form'] or '',
        str(result['size']),
        result['dtype'],
        result['layout'],
        result['pass'],
        _milliseconds(result['median_ms']),
        _number(ratios['to_bilinear'], '.2f'),
        _number(ratios['eager_to_this'], '.1f'),
        _number(ratios['to_contiguous'], '.2f'),
        _number(ratios['copy_bandwidth_share'], '.0%'),
        f'{memory["extra"]:.1f} MB ({round(memory["extra_percent"])} %)' if memory else '',
    )


def _milliseconds(value: float) -> str:
    """Format with four digits, or all those before the point."""
    return f'{value:.4g}' if value < 1000 else f'{value:.0f}'


def _number(value: float | None, form: str) -> str:
    return '' if value is None else format(value, form)


def write_report(report: dict[str, Any], out: str) -> list[str]:
    """Writes ``benchmark.json``, ``benchmark.md`` and, for several sizes, ``benchmark.png``.

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
    method = _METHOD.format(clock=_CLOCK[device], peak=_MEMORY[device], **settings)
    capability = report['cpu_capability'] or 'not built'
    parts = [
        '# Benchmark',
        f'{report["device"]}, {report["threads"]} CPU threads, torch {report["torch"]}, sapa_ops '
        f'{report["sapa_ops"]} (compiled for the CPU: {capability}), {report["date"]}.',
        format_table(report['results']),
        '\n'.join(f'- {note}' for note in report['notes']),
        '![Time against output pixels](benchmark.png)' if with_picture else '',
        '## How it was measured',
        method + f'\n```bash\n{report["command"]}\n```',
    ]
    return '\n\n'.join(part for part in parts if part) + '\n'


def _draw(results: Sequence[dict[str, Any]]) -> tuple[bytes | None, str]:
    """Draws time against size as a PNG; returns None and the reason if it cannot."""
    if len({result['size'] for result in results}) < 2:
        return None, 'it shows time against size, and there is one size only'
    try:
        from matplotlib.figure import Figure
    except ImportError:
        return None, 'matplotlib is not installed'
    conditions = [_distinct(results, key) for key in ('dtype', 'layout', 'pass')]
    rows = list(product(*conditions))
    columns = [k for k in _distinct(results, 'kind') if k != 'baselines'] or ['baselines']
    figure = Figure(figsize=(6.4 * len(columns), 4.6 * len(rows)), layout='constrained')
    axes = figure.subplots(len(rows), len(columns), squeeze=False)
    for (row, condition), (column, kind) in product(enumerate(rows), enumerate(columns)):
        shown = [
            result
            for result in results
            if (result['dtype'], result['layout'], result['pass']) == condition
            and result['kind'] in ('baselines', kind)
        ]
        _draw_panel(axes[row, column], shown)
        axes[row, column].set_title(f'{kind}: {", ".join(condition)}', fontsize=10)
    buffer = io.BytesIO()
    figure.savefig(buffer, dpi=100, format='png')
    return buffer.getvalue(), ''


def _draw_panel(axis, results: Sequence[dict[str, Any]]) -> None:
    names = _distinct(results, 'name')
    for name, form in dict.fromkeys((result['name'], result['form']) for result in results):
        points = [r for r in results if (r['name'], r['form']) == (name, form)]
        pixels, times = _pixels(points), [point['median_ms'] for point in points]
        label = f'{name}, {form}' if form else name
        style = '--' if form == 'eager' else '-'
        axis.plot(pixels, times, f'o{style}', color=f'C{names.index(name)}', ms=4, label=label)
    reference = [result for result in results if result['name'] == 'bilinear']
    if reference:
        pixels, first = _pixels(reference), reference[0]['median_ms']
        linear = [first * count / pixels[0] for count in pixels]
        axis.plot(pixels, linear, ':', color='grey', label='linear')
    axis.set(xscale='log', yscale='log', xlabel='output pixels', ylabel='ms')
    ticks = sorted(set(_pixels(results)))
    axis.set_xticks(ticks, [f'{tick:,}' for tick in ticks], fontsize=8)
    axis.set_xticks([], minor=True)
    axis.legend(fontsize=8, loc='center left', bbox_to_anchor=(1, 0.5))


def _pixels(results: Sequence[dict[str, Any]]) -> list[int]:
    return [math.prod((SCALE * result['size'],) * 2) for result in results]


def _distinct(results: Sequence[dict[str, Any]], key: str) -> list[str]:
    return list(dict.fromkeys(result[key] for result in results))
