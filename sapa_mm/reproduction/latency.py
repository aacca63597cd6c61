"""Latency of single upsamplers, as in Table 13 and Figure 12, on this machine."""

import json
import os
import statistics
from collections.abc import Callable
from dataclasses import asdict, dataclass

import torch

from ..analysis.benchmark.contestants import Case, Contestant
from ..analysis.benchmark.measure import time_contestants
from ..analysis.complexity import count_parameters
from ..analysis.machine import describe_device
from ..upsamplers import UPSAMPLERS, PointUpsampler, WindowUpsampler, build_upsampler
from ..utils.files import check_writable, read_json, write_whole
from ..utils.text import one_line
from .complexity_tables import count_upsampler_flops
from .paper_tables import PAPER_TABLES, paper_order

#: The upsampler that the others are compared with.
REFERENCE = 'CARAFE'
#: Channels and low-res side of Figure 12.
CHANNELS, SIDE = 256, 120

#: File in the folder of the results.
LATENCY_FILE = 'latency.json'
_TABLE_13 = PAPER_TABLES[13].rows
#: Suffixes of the names in the figure, and options, of upsamplers that are in Table 13 too.
_VARIANTS = {
    'CARAFE': [('', dict(up_kernel=5, up_group=1))],
    'SAPA-B': [('', dict(kernel_size=5, groups=1))],
    'SAPA-D': [
        (', 9 points', dict(num_points=9, groups=4)),
        (', 4 points', dict(num_points=4, groups=4)),
    ],
}
#: Titles and options of the upsamplers in the figure, by their names in it: those whose weights
#: depend on the features.
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
    for suffix, options in _VARIANTS.get(title, [('', {})])
}


@dataclass(frozen=True)
class Latency:
    """Latency and costs of an upsampler.

    Attributes:
        seconds (float): Median latency.
        ratio (float): Latency relative to CARAFE's in the same measurement.
        parameters (int): Number of parameters.
        flops (int): Counted multiply-adds.
    """

    seconds: float
    ratio: float
    parameters: int
    flops: int


def latency_name(upsampler: str, options: dict) -> str:
    """Name an upsampler with its options, as the latencies are keyed.

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
    """Time one x2 step of each upsampler of Figure 12 and Table 13, float32, forward only.

    They are timed in turns, so that the ratios are fair. The result is stored in the folder's
    ``latency.json``, under the device's name.

    Args:
        out (str): Folder of the results.
        device (str): 'cpu' or 'cuda'.
        channels (int): Channels of x and guide. Defaults to 256.
        side (int): Height and width of x. Defaults to 120.
        repeats (int): Maximum runs of each. Defaults to 9.
        budget (float): Seconds for the runs of each beyond the third. Defaults to 4.
        on_progress (Callable, optional): Called with a message before each step. Defaults to None.

    Returns:
        dict[str, Latency]: By name.

    Raises:
        OSError: If the folder cannot be written to.
    """
    check_writable(out, 'out', is_folder=True)
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
        threads=torch.get_num_threads(),
        device=device,
        seed=0,
    )
    entries = [
        (Contestant('upsamplers', name, upsample_cfg=cfg), case) for name, cfg in configs.items()
    ]
    timings = time_contestants(entries, repeats, budget, on_progress=on_progress)
    seconds = {}
    for name, timing in zip(configs, timings, strict=True):
        if isinstance(timing, str):
            raise RuntimeError(timing)
        seconds[name] = statistics.median(timing.seconds)
    reference = seconds[latency_name(*_FIGURE_12[REFERENCE])]
    latencies = {
        name: Latency(seconds[name], seconds[name] / reference, *_count(cfg, channels, side))
        for name, cfg in configs.items()
    }
    _save(out, describe_device(device), latencies)
    return latencies


def read_latencies(out: str) -> dict[str, dict[str, Latency]]:
    """Read the stored latencies.

    Args:
        out (str): Folder of the results.

    Returns:
        dict[str, dict[str, Latency]]: By device and name.
    """
    path = os.path.join(out, LATENCY_FILE)
    if not os.path.isfile(path):
        return {}
    try:
        return {
            device: {name: Latency(**values) for name, values in latencies.items()}
            for device, latencies in read_json(path, 'out').items()
        }
    except (AttributeError, TypeError) as error:
        raise ValueError(f'out: {path} is not a file of latencies: {one_line(error)}') from error


def figure_12(latencies: dict[str, Latency]) -> dict[str, Latency]:
    """Select what Figure 12 shows.

    Args:
        latencies (dict[str, Latency]): By name, including those only in Table 13.

    Returns:
        dict[str, Latency]: Those in the figure, by their names in it.
    """
    names = {title: latency_name(*pair) for title, pair in _FIGURE_12.items()}
    return {title: latencies[name] for title, name in names.items() if name in latencies}


def _count(cfg: dict, channels: int, side: int) -> tuple[int, int]:
    """Parameters and multiply-adds."""
    upsampler = build_upsampler(cfg, channels)
    flops = count_upsampler_flops(upsampler, channels, side)
    return count_parameters(upsampler), flops.counted


def _save(out: str, device: str, latencies: dict[str, Latency]) -> None:
    content = {**read_latencies(out), device: latencies}
    values = {d: {n: asdict(latency) for n, latency in c.items()} for d, c in content.items()}
    write_whole(os.path.join(out, LATENCY_FILE), json.dumps(values, indent=1))
