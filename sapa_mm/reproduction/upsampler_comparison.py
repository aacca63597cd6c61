"""All upsamplers in one small model of depth or matting on generated data, over several seeds."""

import dataclasses
import json
import os
import statistics
from collections.abc import Callable, Sequence

from mmengine.config import Config

from ..engine.config import read_config
from ..utils.files import check_writable, write_whole
from ..utils.text import markdown_table, markdown_text
from .generated_data import data_folder, make_missing_data
from .median_depth import evaluate_median
from .paper_tables import CONFIG_NAMES, DEPTH_COLUMNS, paper_order
from .small_models import SMALL_MODELS, SmallModel
from .train_all import train_all
from .training_result import MeanOverSeeds, Metric, TrainingResult
from .training_run import TrainingRun
from .trimap_alpha import evaluate_trimap

Results = dict[str, dict[int, TrainingResult]]


@dataclasses.dataclass(frozen=True)
class Comparison:
    """What is compared for a task.

    Attributes:
        model (SmallModel): The model.
        metrics (Sequence[Metric]): The metrics that are compared.
        upsamplers (list[str]): Titles of the upsamplers that have a config.
        baselines (dict[str, Callable]): By title, functions of a config that give the metrics of a
            prediction without a model. Defaults to none.
    """

    model: SmallModel
    metrics: Sequence[Metric]
    upsamplers: list[str]
    baselines: dict[str, Callable[[Config], dict[str, float]]] = dataclasses.field(
        default_factory=dict
    )


def _upsamplers(*left_out: str) -> list[str]:
    # The models' own interpolation is bilinear.
    return sorted(CONFIG_NAMES.keys() - {'Nearest', *left_out}, key=paper_order)


COMPARISONS = {
    'depth': Comparison(
        SMALL_MODELS['depthformer'],
        [Metric(title, DEPTH_COLUMNS[title], digits=3) for title in ('δ < 1.25', 'Abs Rel')],
        # In this model, x and its guide have different numbers of channels.
        _upsamplers('SAPA-I'),
        {"each pixel's median": evaluate_median},
    ),
    'matting': Comparison(
        SMALL_MODELS['a2u_matting'],
        [Metric(title, title, digits=3) for title in ('SAD', 'Grad')],
        _upsamplers(),
        {'the trimap alone': evaluate_trimap},
    ),
}
"""The comparisons, by task."""

#: Titles of the upsamplers of all comparisons.
UPSAMPLERS = _upsamplers()


def compare_upsamplers(
    task: str,
    configs: str,
    data_root: str | None,
    out: str | None,
    upsamplers: list[str] | None,
    seeds: list[int],
    cfg_options: dict | None = None,
) -> list[str]:
    """Train a small model with each upsampler and each seed, one after another.

    Finished runs are not repeated and interrupted ones resume, so that calling it again continues.
    The table is rewritten after each run.

    Args:
        task (str): One of ``COMPARISONS``: 'depth' for DepthFormer, 'matting' for A2U matting.
        configs (str): Folder of the configs.
        data_root (str | None): Folder of the generated data, made where it is missing; None for
            that of the task's kind of data in ``data``.
        out (str | None): Folder for ``table.md``, ``results.json`` and work directories; None for
            ``work_dirs/upsamplers_{task}``.
        upsamplers (list[str] | None): Titles of the task's ``upsamplers``, of which the others are
            compared with the first; None for all.
        seeds (list[int]): The seeds.
        cfg_options (dict, optional): Settings to override in all configs. Defaults to None.

    Returns:
        list[str]: An error message for each run that failed.

    Raises:
        OSError: If there is no such config, or a folder cannot be written to.
        ValueError: If a config cannot be read, a seed is none that numpy takes, or an upsampler
            has no config.
    """
    comparison = COMPARISONS[task]
    upsamplers = comparison.upsamplers if upsamplers is None else upsamplers
    missing = [title for title in upsamplers if title not in comparison.upsamplers]
    if missing:
        raise ValueError(
            f'upsamplers must be of {", ".join(comparison.upsamplers)} for {task}, got '
            f'{", ".join(missing)}'
        )
    data_root = data_folder(data_root, comparison.model.kind)
    out = out or os.path.join('work_dirs', f'upsamplers_{task}')
    runs, keys = [], {}
    for seed in seeds:
        if not 0 <= seed < 2**32:
            raise ValueError(f'seeds must be from 0 to 2**32 - 1, got {seed}')
        options = {**(cfg_options or {}), 'randomness.seed': seed}
        for title in upsamplers:
            work_dir = os.path.join(out, 'work_dirs', f'{CONFIG_NAMES[title]}_seed-{seed}')
            name = f'{title}, seed {seed}'
            runs.append(comparison.model.run(name, title, configs, data_root, work_dir, options))
            keys[work_dir] = title, seed
    check_writable(out, 'out', is_folder=True)
    make_missing_data(data_root, comparison.model.kind)
    cfg = read_config(*runs[0].recipe())
    baselines = {title: evaluate(cfg) for title, evaluate in comparison.baselines.items()}
    results: Results = {title: {} for title in upsamplers}

    def keep_result(run: TrainingRun, result: TrainingResult) -> None:
        title, seed = keys[run.work_dir]
        results[title][seed] = result
        table = format_comparison(results, comparison.metrics, cfg.train_cfg.max_iters, baselines)
        write_whole(os.path.join(out, 'table.md'), table + '\n')
        content = {
            title: {seed: dataclasses.asdict(result) for seed, result in by_seed.items()}
            for title, by_seed in results.items()
        }
        write_whole(os.path.join(out, 'results.json'), json.dumps(content, indent=1))
        print(f'\n{table}\n', flush=True)

    return train_all(runs, on_result=keep_result)


def format_comparison(
    results: Results,
    metrics: Sequence[Metric],
    iterations: int,
    baselines: dict[str, dict[str, float]] | None = None,
) -> str:
    """Format the results as a Markdown table.

    Metrics are means over the seeds, with the sample standard deviation if there are several. Time
    and memory are medians over the seeds. Differences in metrics, over the seeds that both have,
    and the ratios of time and memory are relative to the first upsampler.

    Args:
        results (dict[str, dict[int, TrainingResult]]): By upsampler and seed.
        metrics (Sequence[Metric]): The metrics to show.
        iterations (int): Training iterations of each run.
        baselines (dict[str, dict[str, float]], optional): Metrics of predictions without a model,
            which come first, by title. Defaults to None.

    Returns:
        str: The table.
    """
    titles = ['upsampler', 'seeds']
    titles += [title for metric in metrics for title in (metric.title, 'difference')]
    titles += ['parameters', 's / iteration', 'ratio', 'minutes', 'peak memory, MB', 'ratio']
    rows = []
    for title, values in (baselines or {}).items():
        cells = [cell for one in metrics for cell in (one.format(one.value(values)), '-')]
        rows.append([title, '-', *cells, *['-'] * 6])
    first = results[next(iter(results))]
    first_costs = _costs(first)
    for title, by_seed in results.items():
        if not by_seed:
            continue
        seconds, memory = costs = _costs(by_seed)
        ratios = [
            f'{ours / its:.2f}' if its else '-'
            for ours, its in zip(costs, first_costs, strict=True)
        ]
        cells = []
        for metric in metrics:
            mean = MeanOverSeeds.of([metric.value(run.metrics) for run in by_seed.values()])
            cells += [mean.format(metric.digits), _difference(metric, by_seed, first)]
        rows.append(
            [
                title,
                len(by_seed),
                *cells,
                f'{next(iter(by_seed.values())).parameters:,}',
                f'{seconds:.3f}',
                ratios[0],
                f'{seconds * iterations / 60:.1f}',
                f'{memory / 1e6:.0f}',
                ratios[1],
            ]
        )
    devices = {result.device for by_seed in results.values() for result in by_seed.values()}
    measured_on = markdown_text('; '.join(sorted(devices)))
    return (
        f'{markdown_table(titles, rows)}\n\n{iterations:,} iterations. Measured on: {measured_on}.'
    )


def _costs(by_seed: dict[int, TrainingResult]) -> tuple[float, float]:
    """Median seconds of an iteration, and bytes of memory; 0 without a run."""
    if not by_seed:
        return 0, 0
    return (
        statistics.median(run.seconds_per_iteration for run in by_seed.values()),
        statistics.median(run.peak_memory for run in by_seed.values()),
    )


def _difference(
    metric: Metric, ours: dict[int, TrainingResult], first: dict[int, TrainingResult]
) -> str:
    shared = ours.keys() & first.keys()
    if not shared:
        return '-'
    gains = [
        metric.value(ours[seed].metrics) - metric.value(first[seed].metrics) for seed in shared
    ]
    return metric.format(statistics.mean(gains), '+')
