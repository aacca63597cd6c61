"""A report as one HTML page with everything in it."""

from collections.abc import Sequence
from itertools import groupby

from ..utils.html_page import fill_page
from .latency import CHANNELS, SIDE, Latency, figure_12
from .report import ReportTable
from .report_plots import plot_gains, plot_latencies, plot_losses
from .report_texts import EXPLANATION, SMALL, describe_runs


def format_page(
    tables: Sequence[ReportTable], latencies: dict[str, dict[str, Latency]] | None = None
) -> str:
    """Formats a report; the page needs no other file and no network.

    Args:
        tables (Sequence[ReportTable]): Its tables.
        latencies (dict, optional): Latencies by device and name, for Figure 12. Defaults to None.

    Returns:
        str: The page.
    """
    return fill_page(
        'sapa_mm.reproduction',
        'report_page.html.jinja',
        explanation=EXPLANATION,
        small=SMALL if any(table.is_small for table in tables) else None,
        sections=[
            dict(
                table=table,
                runs=describe_runs(table),
                groups=[
                    (name, len(list(g))) for name, g in groupby(c.group for c in table.columns)
                ],
                plots=[plot for plot in (plot_gains(table), plot_losses(table)) if plot],
            )
            for table in tables
        ],
        figures=[
            dict(device=device, rows=figure_12(ours), plot=plot_latencies(device, ours))
            for device, ours in (latencies or {}).items()
        ],
        channels=CHANNELS,
        side=SIDE,
    )
