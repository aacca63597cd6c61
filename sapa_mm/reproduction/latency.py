"""Time of upsamplers alone, as in Table 13 and Figure 12, on whatever device there is."""

import json
import os
import statistics
from collections.abc import Callable
from dataclasses import asdict, dataclass
from functools import partial

import torch

from ..analysis.benchmark.measure import affordable_runs, make_stopwatch, time_interleaved, warm_up
from ..analysis.complexity import count_parameters
from ..analysis.flops import count_flops
from ..analysis.machine import describe_device
from ..upsamplers import build_upsampler
from ..utils.whole_file import check_place, whole_file
from .paper_tables import CONFIG_NAMES, PAPER_TABLES

#: What the others are held against.
REFERENCE = 'CARAFE'
#: Channels and low-res side of Figure 12.
CHANNELS, SIDE = 256, 120

#: File in the folder of the results.
LATENCY_FILE = 'latency.json'
_TABLE_13 = PAPER_TABLES[13].rows
#: Upsamplers and their options, by their names in the figure.
_FIGURE_12 = {
    'CARAFE': ('CARAFE', dict(up_kernel=5, up_group=1)),
    'IndexNet': ('IndexNet', {}),
    'A2U': ('A2U', {}),
    'FADE': ('FADE', {}),
    'DySample': ('DySample', {}),
    'SAPA-I': ('SAPA-I', {}),
    'SAPA-B': ('SAPA-B', dict(kernel_size=5, groups=1)),
    'SAPA-D, 9 points': ('SAPA-D', dict(num_points=9, groups=4)),
    'SAPA-D, 4 points': ('SAPA-D', dict(num_points=4, groups=4)),
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
    subjects = {
        latency_name(title, options): dict(type=CONFIG_NAMES[title].replace('-', '_'), **options)
        for title, options in pairs
    }
    generator = torch.Generator().manual_seed(0)
    x, guide = (
        torch.randn(1, channels, size, size, generator=generator).to(device)
        for size in (side, 2 * side)
    )
    modules = {
        name: build_upsampler(cfg, channels).eval().to(device) for name, cfg in subjects.items()
    }
    with torch.no_grad():
        seconds = _time(
            {name: lambda m=m: m(x, guide) for name, m in modules.items()},
            device,
            repeats,
            budget,
            on_progress or (lambda text: None),
        )
    by_name = dict(zip(modules, seconds, strict=True))
    latencies = {
        name: Latency(
            by_name[name],
            by_name[name] / by_name[latency_name(*_FIGURE_12[REFERENCE])],
            count_parameters(module),
            _count_flops(subjects[name], channels, side),
        )
        for name, module in modules.items()
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
    with open(path) as file:
        content = json.load(file)
    return {
        device: {name: Latency(**values) for name, values in latencies.items()}
        for device, latencies in content.items()
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


def _time(
    functions: dict[str, Callable],
    device: str,
    repeats: int,
    budget: float,
    say: Callable[[str], None],
) -> list[float]:
    stopwatch = make_stopwatch(device)
    counts = []
    for number, (name, function) in enumerate(functions.items(), 1):
        say(f'{number} of {len(functions)}: warming up {name}')
        _, seconds = warm_up(function, stopwatch, budget)
        counts.append(affordable_runs(seconds, repeats, budget))
    say(f'timing all in turns, up to {max(counts)} times')
    times = time_interleaved(list(functions.values()), counts, stopwatch)
    return [statistics.median(one) for one in times]


def _count_flops(cfg: dict, channels: int, side: int) -> int:
    upsampler = build_upsampler(cfg, channels)
    guide = (1, channels, 2 * side, 2 * side)
    run = partial(_upsample, upsampler, guide)
    return count_flops(upsampler, run, (1, channels, side, side)).counted


def _upsample(upsampler, guide_shape, x):
    return upsampler(x, torch.empty(guide_shape))


def _save(out: str, device: str, latencies: dict[str, Latency]) -> None:
    os.makedirs(out, exist_ok=True)
    content = {
        **read_latencies(out),
        device: latencies,
    }
    text = json.dumps(
        {d: {n: asdict(one) for n, one in values.items()} for d, values in content.items()},
        indent=1,
    )
    with whole_file(os.path.join(out, LATENCY_FILE)) as path, open(path, 'w') as file:
        file.write(text)
