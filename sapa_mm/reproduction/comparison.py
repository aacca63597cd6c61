"""Trains several configs under the same conditions and sets them side by side."""

import os
from dataclasses import dataclass

from torch import nn

from ..engine.training import prepare_training
from .training_result import TrainingResult, train_and_measure


@dataclass(frozen=True)
class Metric:
    """A column of the table.

    Attributes:
        title (str): Its name in the table.
        key (str): Its name among the metrics of a validation.
        scale (float): What it is multiplied by. Defaults to 1.
    """

    title: str
    key: str
    scale: float = 1

    def of(self, result: TrainingResult) -> float:
        """The metric of a training run."""
        # mmdet reports no average precision where nothing is detected: it is 0.
        return self.scale * result.metrics.get(self.key, 0.0)


def compare(
    configs: dict[str, str], metrics: list[Metric], out: str, cfg_options: dict | None = None
) -> tuple[dict[str, nn.Module], str]:
    """Trains configs one after another.

    Args:
        configs (dict[str, str]): Config files by their names in the table. Each validates at the
            end of its training.
        metrics (list[Metric]): What to compare.
        out (str): Folder for ``table.md`` and the work directories.
        cfg_options (dict, optional): Settings to override in all configs. Defaults to None.

    Returns:
        tuple[dict[str, nn.Module], str]: The models by name, and the table.
    """
    models, results = {}, {}
    for name, config in configs.items():
        work_dir = os.path.join(out, 'work_dirs', name.lower())
        cfg = prepare_training(config, work_dir=work_dir, cfg_options=cfg_options)
        models[name], results[name] = train_and_measure(cfg)
    table = format_table(results, metrics)
    with open(os.path.join(out, 'table.md'), 'w') as file:
        file.write(table + '\n')
    return models, table


def format_table(results: dict[str, TrainingResult], metrics: list[Metric]) -> str:
    """Formats the measurements as a Markdown table.

    Args:
        results (dict[str, TrainingResult]): By name; differences are against the first.
        metrics (list[Metric]): The metrics to show.

    Returns:
        str: The table.
    """
    titles = ['upsampler', *(metric.title for metric in metrics), 'parameters', 's / iteration']
    lines = [f'| {" | ".join(titles)} |', '|---' * len(titles) + '|']
    first = next(iter(results.values()))
    for name, result in results.items():
        cells = [f'{metric.of(result):.2f}' for metric in metrics] + [f'{result.parameters:,}']
        if result is not first:
            deltas = [f' ({metric.of(result) - metric.of(first):+.2f})' for metric in metrics]
            deltas.append(f' ({result.parameters - first.parameters:+,})')
            cells = [cell + delta for cell, delta in zip(cells, deltas, strict=True)]
        lines.append(f'| {name} | {" | ".join(cells)} | {result.seconds_per_iteration:.3f} |')
    return '\n'.join(lines)
