"""The plots of a report, as SVG elements."""

import glob
import io
import json
import os

from matplotlib.figure import Figure

from ..utils.text import printable
from .latency import REFERENCE, Latency, figure_12
from .report import ReportTable, is_metric, lower_is_better
from .training_result import MeanOverSeeds

#: The panels, where a table has them.
_MAIN_METRICS = ('mIoU', 'AP', 'box AP', 'PQ', 'SAD', 'Grad', 'δ < 1.25', 'Abs Rel')
_PAPER, _OURS = '#888888', '#c1440e'


def plot_gains(table: ReportTable) -> str | None:
    """Plot the gain of each row over the first of its backbone, in the paper and measured.

    Where lower is better, a reduction is a gain.

    Args:
        table (ReportTable): The table.

    Returns:
        str | None: The plot, a panel for each main metric; None if nothing was measured.
    """
    metrics = [name for row in table.rows for name in row.paper.figures if is_metric(name)]
    panels = [
        panel
        for metric in dict.fromkeys(metrics)
        if metric in _MAIN_METRICS and (panel := _gains(table, metric))
    ]
    if not panels:
        return None
    height = 0.32 * max(len(panel[1]) for panel in panels) + 1.2
    figure = Figure((6.2 * len(panels), height), layout='constrained')
    axes = figure.subplots(1, len(panels), squeeze=False)[0]
    for axis, (metric, rows) in zip(axes, panels, strict=True):
        places = range(len(rows))
        axis.axvline(0, color='#cccccc', linewidth=1)
        axis.plot([r[1] for r in rows], places, 'o', color=_PAPER, fillstyle='none', label='paper')
        ours = [(place, row[2]) for place, row in zip(places, rows, strict=True) if row[2]]
        axis.errorbar(
            [gain.mean for _, gain in ours],
            [place for place, _ in ours],
            xerr=[gain.std or 0 for _, gain in ours],
            fmt='o',
            color=_OURS,
            capsize=2,
            label='measured',
        )
        axis.set_yticks(places, [row[0] for row in rows])
        axis.invert_yaxis()
        change = 'reduction from' if lower_is_better(metric) else 'gain over'
        axis.set_xlabel(f'{metric}: {change} the first row of the backbone')
        axis.legend(fontsize=8)
    return _to_svg(figure)


def plot_losses(table: ReportTable) -> str | None:
    """Plot the training loss of each row's first seed.

    Args:
        table (ReportTable): The table.

    Returns:
        str | None: The plot; None if no run has a log.
    """
    curves = {row.paper.title: _read_losses(row.work_dirs) for row in table.rows}
    curves = {title: curve for title, curve in curves.items() if len(curve) > 1}
    if not curves:
        return None
    figure = Figure((6.2, 3.6), layout='constrained')
    axis = figure.subplots()
    for number, (title, curve) in enumerate(curves.items()):
        style = '-' if number < 10 else '--'
        axis.plot(*zip(*curve, strict=True), style, label=title, linewidth=1)
    axis.set_xlabel('iteration')
    axis.set_ylabel('training loss')
    axis.legend(fontsize=6, ncols=2)
    return _to_svg(figure)


def plot_latencies(device: str, latencies: dict[str, Latency]) -> str:
    """Plot the upsamplers as in Figure 12: latency over FLOPs, parameters as the markers' size.

    Args:
        device (str): The device that was measured.
        latencies (dict[str, Latency]): By name; rows of Table 13 are left out.

    Returns:
        str: The plot.
    """
    figure = Figure((6.2, 4), layout='constrained')
    axis = figure.subplots()
    for name, latency in figure_12(latencies).items():
        size = 20 + latency.parameters / 2e3
        point = (latency.flops / 1e9, latency.ratio)
        axis.scatter(*point, s=size, alpha=0.6, clip_on=False)
        axis.annotate(name, point, xytext=(4, 4), textcoords='offset points', fontsize=8)
    axis.axhline(1, color='#cccccc', linewidth=1, zorder=0)
    axis.set_xscale('log')
    axis.set_yscale('log')
    axis.margins(0.15)
    axis.set_xlabel('G multiply-adds')
    axis.set_ylabel(f'latency / {REFERENCE}')
    axis.set_title(f'measured on: {printable(device)}', fontsize=9, parse_math=False)
    return _to_svg(figure)


def _gains(table, metric):
    """The metric with each row's title, gain in the paper, and our gain or None."""
    first, rows = {}, []
    sign = -1 if lower_is_better(metric) else 1
    for row in table.rows:
        printed = row.paper.figures.get(metric)
        if printed is None:
            continue
        ours = row.metric(metric)
        paper_base, our_base = first.setdefault(row.paper.backbone, (float(printed), ours))
        gain = None
        if ours and our_base:
            gain = MeanOverSeeds(sign * (ours.mean - our_base.mean), ours.std, ours.runs)
        rows.append((row.paper.title, sign * (float(printed) - paper_base), gain))
    return (metric, rows) if any(row[2] for row in rows) else None


def _read_losses(work_dirs: dict[int, str]) -> list[tuple[int, float]]:
    """Read the losses by iteration; where logs of a resumed run overlap, the latest counts."""
    losses = {}
    if work_dirs:
        first = work_dirs[min(work_dirs)]
        for path in sorted(glob.glob(os.path.join(first, '*', 'vis_data', 'scalars.json'))):
            with open(path) as file:
                for line in file:
                    # The last line of a run that was killed may be cut.
                    values = json.loads(line) if line.endswith('}\n') else {}
                    if 'loss' in values:
                        losses[values['step']] = values['loss']
    return sorted(losses.items())


def _to_svg(figure: Figure) -> str:
    text = io.StringIO()
    figure.savefig(text, format='svg')
    # The prolog before the element belongs in a separate file only.
    return text.getvalue()[text.getvalue().index('<svg') :]
