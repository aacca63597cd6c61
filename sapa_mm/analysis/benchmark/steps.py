"""Time of whole training steps, of models that differ in their upsampler for example."""

import os
import statistics
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import torch
from mmengine.config import Config
from mmengine.logging import MMLogger
from mmengine.model import revert_sync_batchnorm
from mmengine.optim import build_optim_wrapper
from mmengine.structures import PixelData

from ...engine.config import build_model, in_scope, read_config
from ...utils.files import check_writable, write_whole
from ...utils.tasks import model_task
from ...utils.text import markdown_table
from .conditions import describe_conditions, format_conditions
from .measure import FEWEST_RUNS, make_stopwatch, time_interleaved, warm_up


def time_steps(
    configs: Sequence[str],
    threads: Sequence[int] | None = None,
    side: int | None = None,
    batch: int = 2,
    repeats: int = 7,
    device: str | None = None,
    cfg_options: dict[str, Any] | None = None,
    out: str | None = None,
) -> list[dict[str, Any]]:
    """Times training steps of segmentors on random images, in turns, and prints a table.

    A step is preprocessing, forward, backward, and the optimizer's. Weights are random: none are
    downloaded.

    Args:
        configs (Sequence[str]): The config files; the others are compared with the first.
        threads (Sequence[int], optional): Numbers of CPU threads. Defaults to torch's current one.
        side (int, optional): Side of the images. Defaults to that of each config's training crops.
        batch (int): Images in a batch. Defaults to 2.
        repeats (int): Steps of each, 3 or more. Defaults to 7.
        device (str, optional): 'cpu' or 'cuda'. Defaults to 'cuda' if available.
        cfg_options (dict, optional): Settings to override in all configs. Defaults to None.
        out (str, optional): A Markdown file for the report. Defaults to None.

    Returns:
        list[dict]: ``config``, ``threads``, ``seconds`` (the median), ``ratio`` to the first
        config, and ``spread``, the slowest step over the fastest.

    Raises:
        OSError: If a config is missing or ``out`` cannot be written to.
        ValueError: If an argument is not allowed, or a config is none of a segmentor.
    """
    threads_before, load_before = torch.get_num_threads(), os.getloadavg()[0]
    threads = threads or [threads_before]
    device = device or ('cuda' if torch.cuda.is_available() else 'cpu')
    allowed = dict(threads=(min(threads), 1), batch=(batch, 1), repeats=(repeats, FEWEST_RUNS))
    for name, (value, least) in {**allowed, 'side': (1 if side is None else side, 1)}.items():
        if value < least:
            raise ValueError(f'{name} must be {least} or more, got {value}')
    if out is not None:
        check_writable(out, 'out')
    steps = [make_step(config, cfg_options, side, batch, device) for config in configs]
    results: list[dict[str, Any]] = []
    try:
        for number in threads:
            torch.set_num_threads(number)
            results += [
                {'config': Path(config).stem, 'threads': number, **time}
                for config, time in zip(configs, time_in_turns(steps, repeats, device), strict=True)
            ]
    finally:
        torch.set_num_threads(threads_before)
    report = {
        **describe_conditions(device),
        'load_average': [load_before, os.getloadavg()[0]],
    }
    page = _format_page(report, results, side, batch, repeats)
    print(page)
    if out is not None:
        write_whole(out, page)
    return results


def time_in_turns(
    steps: Sequence[Callable[[], Any]], repeats: int, device: str
) -> list[dict[str, float]]:
    """Times functions in turns, after a warm-up.

    Args:
        steps (Sequence[Callable]): The functions; the others are compared with the first.
        repeats (int): Calls of each.
        device (str): 'cpu' or 'cuda'.

    Returns:
        list[dict[str, float]]: For each, ``seconds`` (the median), ``ratio`` to the first, and
        ``spread``, the slowest call over the fastest.
    """
    stopwatch = make_stopwatch(device)
    for step in steps:
        warm_up(step, stopwatch, float('inf'))
    runs = time_interleaved(steps, [repeats] * len(steps), stopwatch)
    medians = list(map(statistics.median, runs))
    return [
        {
            'seconds': median,
            'ratio': median / medians[0],
            'spread': max(seconds) / min(seconds),
        }
        for median, seconds in zip(medians, runs, strict=True)
    ]


def make_step(
    config: str, options: dict[str, Any] | None, side: int | None, batch: int, device: str
) -> Callable[[], Any]:
    """Builds a segmentor and its optimizer, and returns a function that trains one step.

    Args:
        config (str): The config file.
        options (dict | None): Settings to override.
        side (int | None): Side of the images; None for that of the config.
        batch (int): Images in a batch.
        device (str): 'cpu' or 'cuda'.

    Returns:
        Callable: The function.

    Raises:
        OSError: If the config is missing.
        ValueError: If it is none of a segmentor.
    """
    cfg = read_config(config, options)
    side = _set_side(cfg, side)
    torch.manual_seed(0)
    model: Any = revert_sync_batchnorm(build_model(cfg)).to(device).train()
    if model_task(model) != 'segmentation':
        raise ValueError(f'configs: {config} is not a segmentor of mmseg')
    logger = MMLogger.get_current_instance()
    level = logger.level
    logger.setLevel('WARNING')  # it lists the settings of each parameter
    with in_scope(cfg):
        optimizer = build_optim_wrapper(model, cfg.optim_wrapper)
    logger.setLevel(level)
    from mmseg.structures import SegDataSample

    classes = model.decode_head.num_classes
    samples = [SegDataSample() for _ in range(batch)]
    for sample in samples:
        sample.gt_sem_seg = PixelData(data=torch.randint(classes, (1, side, side)))
    images = list(torch.randint(256, (batch, 3, side, side), dtype=torch.uint8))
    data = dict(inputs=images, data_samples=samples)
    return lambda: model.train_step(data, optimizer)


def _set_side(cfg: Config, side: int | None) -> int:
    """Sets the side of the images in a config; without one, returns that of the config."""
    preprocessor = cfg.model.get('data_preprocessor') or {}
    if side is None:
        if not preprocessor.get('size'):
            raise ValueError(f'side: {cfg.filename} has no data_preprocessor.size, give one')
        return min(preprocessor['size'])
    if preprocessor.get('size'):
        preprocessor['size'] = (side, side)
    return side


def _format_page(
    report: dict[str, Any],
    results: Sequence[dict[str, Any]],
    side: int | None,
    batch: int,
    repeats: int,
) -> str:
    rows = [
        [
            result['config'],
            result['threads'],
            f'{result["seconds"]:.3f}',
            f'{result["ratio"]:.2f}',
            f'{result["spread"]:.2f}',
        ]
        for result in results
    ]
    images = f'{batch} random images of ' + (f'{side}x{side}' if side else "the config's crop")
    return f"""# Training steps

{format_conditions(report)}

{markdown_table(['config', 'threads', 's / step', '/ first', 'slowest / fastest'], rows, 'lrrrr')}

Medians of {repeats} steps on {images}, in turns, after a warm-up.

```bash
{report['command']}
```
"""
