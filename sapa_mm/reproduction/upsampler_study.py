"""A study of all upsamplers in one small model on generated scenes, over several seeds."""

import dataclasses
import json
import os
import statistics

from ..utils.files import check_writable, write_whole
from ..utils.text import markdown_table, markdown_text
from .paper_tables import CONFIG_NAMES, paper_order
from .scenes import make_missing_scenes, scenes_run
from .train_all import train_all
from .training_result import MeanOverSeeds, TrainingResult
from .training_run import TrainingRun

_CONFIG = 'segformer/segformer_mit-tiny_{}_1xb8-300_scenes-128x128.py'
#: Titles; SegFormer's own interpolation is bilinear.
UPSAMPLERS = sorted(CONFIG_NAMES.keys() - {'Nearest'}, key=paper_order)

Results = dict[str, dict[int, TrainingResult]]


def run_study(
    configs: str,
    data_root: str,
    out: str,
    upsamplers: list[str],
    seeds: list[int],
    cfg_options: dict | None = None,
) -> list[str]:
    """Train SegFormer with each upsampler and each seed, one after another.

    Finished runs are not repeated and interrupted ones resume, so that calling it again continues.
    The table is rewritten after each run.

    Args:
        configs (str): Folder of the configs.
        data_root (str): Folder of the generated scenes; made where it is missing.
        out (str): Folder for ``table.md``, ``results.json`` and work directories.
        upsamplers (list[str]): Titles of ``UPSAMPLERS``; the others are compared with the first.
        seeds (list[int]): The seeds.
        cfg_options (dict, optional): Settings to override in all configs. Defaults to None.

    Returns:
        list[str]: An error message for each run that failed.

    Raises:
        OSError: If there is no such config, or a folder cannot be written to.
        ValueError: If a config cannot be read, or a seed is none that numpy takes.
    """
    data_root = os.path.abspath(data_root)
    runs, keys = [], {}
    for seed in seeds:
        if not 0 <= seed < 2**32:
            raise ValueError(f'seeds must be from 0 to 2**32 - 1, got {seed}')
        options = {**(cfg_options or {}), 'randomness.seed': seed}
        for title in upsamplers:
            config = os.path.join(configs, _CONFIG.format(CONFIG_NAMES[title]))
            work_dir = os.path.join(out, 'work_dirs', f'{CONFIG_NAMES[title]}_seed-{seed}')
            runs.append(scenes_run(f'{title}, seed {seed}', config, data_root, work_dir, options))
            keys[work_dir] = title, seed
    check_writable(out, 'out', is_folder=True)
    make_missing_scenes(data_root)
    results: Results = {title: {} for title in upsamplers}

    def keep_result(run: TrainingRun, result: TrainingResult) -> None:
        title, seed = keys[run.work_dir]
        results[title][seed] = result
        print(f'\n{_write_results(results, out)}\n', flush=True)

    return train_all(runs, on_result=keep_result)


def _write_results(results: Results, out: str) -> str:
    """Write ``table.md`` and ``results.json``; return the table."""
    table = format_study(results)
    write_whole(os.path.join(out, 'table.md'), table + '\n')
    content = {
        title: {seed: dataclasses.asdict(result) for seed, result in by_seed.items()}
        for title, by_seed in results.items()
    }
    write_whole(os.path.join(out, 'results.json'), json.dumps(content, indent=1))
    return table


def format_study(results: Results) -> str:
    """Format the results as a Markdown table.

    mIoU is the mean over the seeds, with the sample standard deviation if there are several. Time
    and memory are medians over the seeds. The difference in mIoU, over the seeds that both have,
    and the ratios of time and memory are relative to the first upsampler.

    Args:
        results (dict[str, dict[int, TrainingResult]]): By upsampler and seed.

    Returns:
        str: The table.
    """
    titles = ['upsampler', 'seeds', 'mIoU', 'difference', 'parameters']
    titles += ['s / iteration', 'ratio', 'peak memory, MB', 'ratio']
    summaries = {title: _summarise(by_seed) for title, by_seed in results.items() if by_seed}
    reference = next(iter(results))
    first = summaries.get(reference)
    rows = []
    for title, row in summaries.items():
        cells = [
            title,
            row['miou'].runs,
            row['miou'].format(2),
            _difference(results[title], results[reference]),
            f'{row["parameters"]:,}',
            f'{row["seconds"]:.3f}',
            f'{row["seconds"] / first["seconds"]:.2f}' if first else '-',
            f'{row["memory"] / 1e6:.0f}',
            f'{row["memory"] / first["memory"]:.2f}' if first else '-',
        ]
        rows.append(cells)
    devices = {result.device for by_seed in results.values() for result in by_seed.values()}
    measured_on = markdown_text('; '.join(sorted(devices)))
    return f'{markdown_table(titles, rows)}\n\nMeasured on: {measured_on}.'


def _difference(ours: dict[int, TrainingResult], first: dict[int, TrainingResult]) -> str:
    shared = ours.keys() & first.keys()
    if not shared:
        return '-'
    gains = [ours[seed].metrics['mIoU'] - first[seed].metrics['mIoU'] for seed in shared]
    return f'{statistics.mean(gains):+.2f}'


def _summarise(by_seed: dict[int, TrainingResult]) -> dict:
    runs = list(by_seed.values())
    return dict(
        miou=MeanOverSeeds.of([run.metrics['mIoU'] for run in runs]),
        parameters=runs[0].parameters,
        seconds=statistics.median(run.seconds_per_iteration for run in runs),
        memory=statistics.median(run.peak_memory for run in runs),
    )
