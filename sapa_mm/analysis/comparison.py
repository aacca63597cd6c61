"""Trains several configs under the same conditions and sets them side by side."""

import os
from dataclasses import dataclass

import numpy as np
from mmengine.logging import MessageHub
from torch import nn

from ..engine.prepare_training import prepare_training
from ..engine.run import run_training
from .parameters import count_parameters


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


@dataclass(frozen=True)
class TrainedModel:
    """A trained model and its row in the table.

    Attributes:
        model (nn.Module): The model.
        metrics (list[float]): Its metrics on the validation set.
        parameters (int): Number of trainable parameters.
        seconds_per_iteration (float): Median over the training, on this machine.
    """

    model: nn.Module
    metrics: list[float]
    parameters: int
    seconds_per_iteration: float


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
    rows = {}
    for name, config in configs.items():
        work_dir = os.path.join(out, 'work_dirs', name.lower())
        rows[name] = train_and_measure(config, work_dir, metrics, cfg_options)
    table = format_table(rows, metrics)
    with open(os.path.join(out, 'table.md'), 'w') as file:
        file.write(table + '\n')
    return {name: row.model for name, row in rows.items()}, table


def train_and_measure(
    config: str, work_dir: str, metrics: list[Metric], cfg_options: dict | None = None
) -> TrainedModel:
    """Trains a config from the start.

    Args:
        config (str): The config file. It validates at the end of its training.
        work_dir (str): Where logs and checkpoints go.
        metrics (list[Metric]): What to take from the validation.
        cfg_options (dict, optional): Settings to override. Defaults to None.

    Returns:
        TrainedModel: The model and what was measured.
    """
    model = run_training(prepare_training(config, work_dir=work_dir, cfg_options=cfg_options))
    scalars = MessageHub.get_current_instance().log_scalars
    times, _ = scalars['train/time'].data
    # mmdet reports no average precision where nothing is detected: it is 0.
    measured = [scalars.get(f'val/{metric.key}') for metric in metrics]
    return TrainedModel(
        model=model,
        metrics=[
            metric.scale * float(scalar.current()) if scalar else 0.0
            for metric, scalar in zip(metrics, measured, strict=True)
        ],
        parameters=count_parameters(model),
        seconds_per_iteration=float(np.median(times)),
    )


def format_table(rows: dict[str, TrainedModel], metrics: list[Metric]) -> str:
    """Formats the measurements as a Markdown table.

    Args:
        rows (dict[str, TrainedModel]): The models by name; differences are against the first.
        metrics (list[Metric]): What their metrics are.

    Returns:
        str: The table.
    """
    titles = ['upsampler', *(metric.title for metric in metrics), 'parameters', 's / iteration']
    lines = [f'| {" | ".join(titles)} |', '|---' * len(titles) + '|']
    first = next(iter(rows.values()))
    for name, row in rows.items():
        cells = [f'{value:.2f}' for value in row.metrics] + [f'{row.parameters:,}']
        if row is not first:
            pairs = zip(row.metrics, first.metrics, strict=True)
            deltas = [f' ({value - other:+.2f})' for value, other in pairs]
            deltas.append(f' ({row.parameters - first.parameters:+,})')
            cells = [cell + delta for cell, delta in zip(cells, deltas, strict=True)]
        lines.append(f'| {name} | {" | ".join(cells)} | {row.seconds_per_iteration:.3f} |')
    return '\n'.join(lines)
