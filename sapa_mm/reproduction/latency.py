"""Time of upsamplers alone, as in Table 13 and Figure 12, on whatever device there is."""

import json
import os
import statistics
from collections.abc import Callable
from dataclasses import asdict, dataclass

import torch

from ..analysis.benchmark.contestants import Case, Contestant
from ..analysis.benchmark.measure import time_contestants
from ..analysis.complexity import count_parameters
from ..analysis.flops import count_flops
from ..analysis.machine import describe_device
from ..upsamplers import UPSAMPLERS, PointUpsampler, WindowUpsampler, build_upsampler
from ..utils.files import check_place, read_json, write_whole
from .paper_tables import PAPER_TABLES, paper_order

#: What the others are held against.
REFERENCE = 'CARAFE'
#: Channels and low-res side of Figure 12.
CHANNELS, SIDE = 256, 120

#: File in the folder of the results.
LATENCY_FILE = 'latency.json'
_TABLE_13 = PAPER_TABLES[13].rows
#: Suffixes of names in the figure and options, of upsamplers that it shares with Table 13.
_SHARED = {
    'CARAFE': [('', dict(up_kernel=5, up_group=1))],
    'SAPA-B': [('', dict(kernel_size=5, groups=1))],
    'SAPA-D': [
        (', 9 points', dict(num_points=9, groups=4)),
        (', 4 points', dict(num_points=4, groups=4)),
    ],
}
#: Titles of upsamplers and their options, by their names in the figure: those whose weights depend
#: on the features.
_FIGURE_12 = {
    title + suffix: (title, options)
    for title in sorted(
        (
            kind.title
            for kind in UPSAMPLERS.values()
            if kind.table_1 or issubclass(kind, (WindowUpsampler, PointUpsampler))
        ),
        key=paper_order,
    )
    for suffix, options in _SHARED.get(title, [('', {})])
}


@dataclass(frozen=True)
class Latency:
    """An upsampler's time.

    Attributes:
        seconds (float): Median of the runs.
        ratio (float): To that of CARAFE, in the same measurement.
        parameters (int): Its parameters.
        flops (int): Its multiply-adds, counted.
    """

    seconds: float
    ratio: float
    parameters: int
    flops: int


def latency_name(upsampler: str, options: dict) -> str:
    """What an upsampler is called among the latencies.

    Args:
        upsampler (str): As the paper calls it.
        options (dict): Its options.

    Returns:
        str: The name.
    """
    return ', '.join([upsampler, *(f'{name}={value}' for name, value in options.items())])


def measure_latency(
    out: str,
    device: str,
    channels: int = CHANNELS,
    side: int = SIDE,
    repeats: int = 9,
    budget: float = 4.0,
    on_progress: Callable[[str], None] | None = None,
) -> dict[str, Latency]:
    """Times a step of x2 by each upsampler of Figure 12 and Table 13, float32, forward only.

    All are timed in turns, so that their ratios hold on this device. The result is added to the
    folder's ``latency.json``, in which each device has a place.

    Args:
        out (str): Folder of the results.
        device (str): 'cpu' or 'cuda'.
        channels (int): Channels of x and guide. Defaults to 256.
        side (int): Height and width of x. Defaults to 120.
        repeats (int): Most runs of each. Defaults to 9.
        budget (float): Seconds for the runs of each beyond the third. Defaults to 4.
        on_progress (Callable, optional): Called with what is done next. Defaults to None.

    Returns:
        dict[str, Latency]: By name.

    Raises:
        OSError: If the folder cannot be written to.
    """
    check_place(out, 'out', is_folder=True)
    pairs = [*_FIGURE_12.values(), *((row.upsampler, row.options) for row in _TABLE_13)]
    names = {kind.title: name for name, kind in UPSAMPLERS.items()}
    configs = {
        latency_name(title, options): dict(type=names[title], **options) for title, options in pairs
    }
    case = Case(
        size=side,
        dtype='float32',
        layout='contiguous',
        direction='forward',
        channels=channels,
        batch=1,
        device=device,
        seed=0,
    )
    entries = [
        (Contestant('upsamplers', name, upsample_cfg=cfg), case) for name, cfg in configs.items()
    ]
    timings = time_contestants(entries, repeats, budget, on_progress=on_progress)
    seconds = {}
    for name, timing in zip(configs, timings, strict=True):
        if isinstance(timing, Exception):
            raise timing
        seconds[name] = statistics.median(timing.seconds)
    reference = seconds[latency_name(*_FIGURE_12[REFERENCE])]
    latencies = {
        name: Latency(seconds[name], seconds[name] / reference, *_count(cfg, channels, side))
        for name, cfg in configs.items()
    }
    _save(out, describe_device(device), latencies)
    return latencies


def read_latencies(out: str) -> dict[str, dict[str, Latency]]:
    """Reads what was measured.

    Args:
        out (str): Folder of the results.

    Returns:
        dict[str, dict[str, Latency]]: By device and name.
    """
    path = os.path.join(out, LATENCY_FILE)
    if not os.path.isfile(path):
        return {}
    return {
        device: {name: Latency(**values) for name, values in latencies.items()}
        for device, latencies in read_json(path, 'out').items()
    }


def figure_12(latencies: dict[str, Latency]) -> dict[str, Latency]:
    """Selects what Figure 12 shows.

    Args:
        latencies (dict[str, Latency]): By name, with those of Table 13 alone.

    Returns:
        dict[str, Latency]: Without these, by their names in the figure.
    """
    names = {title: latency_name(*pair) for title, pair in _FIGURE_12.items()}
    return {title: latencies[name] for title, name in names.items() if name in latencies}


def _count(cfg: dict, channels: int, side: int) -> tuple[int, int]:
    """Parameters and multiply-adds."""
    upsampler = build_upsampler(cfg, channels)
    flops = count_flops(
        upsampler,
        lambda x: upsampler(x, torch.empty(1, channels, 2 * side, 2 * side)),
        (1, channels, side, side),
    )
    return count_parameters(upsampler), flops.counted


def _save(out: str, device: str, latencies: dict[str, Latency]) -> None:
    content = {**read_latencies(out), device: latencies}
    values = {d: {n: asdict(one) for n, one in by_name.items()} for d, by_name in content.items()}
    write_whole(os.path.join(out, LATENCY_FILE), json.dumps(values, indent=1))
