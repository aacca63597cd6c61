"""Trains several configs under the same conditions and sets them side by side."""

from dataclasses import dataclass

import numpy as np
from mmengine.logging import MessageHub
from torch import nn

from ..engine.prepare_training import prepare_training
from ..engine.run import run_training
from .parameters import count_parameters


@dataclass(frozen=True)
class TrainedModel:
    """A trained model and its row in the table.

    Attributes:
        name (str): Its name in the table.
        model (nn.Module): The model.
        miou (float): mIoU on the validation set, in percent.
        parameters (int): Number of trainable parameters.
        seconds_per_iteration (float): Median over the training, on this machine.
    """

    name: str
    model: nn.Module
    miou: float
    parameters: int
    seconds_per_iteration: float


def train_and_measure(
    name: str, config: str, work_dir: str, cfg_options: dict | None = None
) -> TrainedModel:
    """Trains a segmentation config from the start.

    Args:
        name (str): Name in the table.
        config (str): The config file. It validates at the end of its training.
        work_dir (str): Where logs and checkpoints go.
        cfg_options (dict, optional): Settings to override. Defaults to None.

    Returns:
        TrainedModel: The model and what was measured.
    """
    model = run_training(prepare_training(config, work_dir=work_dir, cfg_options=cfg_options))
    hub = MessageHub.get_current_instance()
    times, _ = hub.get_scalar('train/time').data
    return TrainedModel(
        name=name,
        model=model,
        miou=float(hub.get_scalar('val/mIoU').current()),
        parameters=count_parameters(model),
        seconds_per_iteration=float(np.median(times)),
    )


def format_table(rows: list[TrainedModel]) -> str:
    """Formats the measurements as a Markdown table.

    Args:
        rows (list[TrainedModel]): The models; differences are against the first.

    Returns:
        str: The table.
    """
    first = rows[0]
    lines = [
        '| upsampler | mIoU | parameters | s / iteration |',
        '|---|---|---|---|',
    ]
    for row in rows:
        delta = '' if row is first else f' ({row.miou - first.miou:+.2f})'
        extra = '' if row is first else f' ({row.parameters - first.parameters:+,})'
        lines.append(
            f'| {row.name} | {row.miou:.2f}{delta} | {row.parameters:,}{extra} '
            f'| {row.seconds_per_iteration:.3f} |'
        )
    return '\n'.join(lines)
