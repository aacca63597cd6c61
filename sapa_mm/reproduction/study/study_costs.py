"""Timing training steps of a study's rows in turns, since its runs go on beside other work."""

import os
from collections.abc import Sequence

import torch

from ...analysis.benchmark.conditions import describe_conditions
from ...analysis.benchmark.steps import make_step, time_in_turns
from ...engine.config import read_config
from ...utils.files import check_writable
from .studies import Study
from .study_results import StudyFolder
from .study_runs import StudySettings, list_study

_REPEATS = 15


def time_study(studies: Sequence[Study], settings: StudySettings, repeats: int = _REPEATS) -> None:
    """Time a training step of each row on the CPU, with one thread, and keep the times.

    Keep the machine quiet meanwhile.

    Args:
        studies (Sequence[Study]): The studies.
        settings (StudySettings): How they are run.
        repeats (int): Steps of each row. Defaults to 15.

    Raises:
        OSError: If a config is missing, or nothing can be written.
        OtherSettings: If the folder has results of other settings.
        ValueError: If a config cannot be read.
    """
    check_writable(settings.out, 'out', is_folder=True)
    threads = torch.get_num_threads()
    for study in studies:
        runs = {run.row: run for run in list_study([study], [], None, settings)}
        load = os.getloadavg()[0]
        torch.set_num_threads(1)
        try:
            steps = []
            for run in runs.values():
                config, options = run.recipe()
                batch = read_config(config, options).train_dataloader.batch_size
                steps.append(make_step(config, options, None, batch, 'cpu'))
            times = time_in_turns(steps, repeats, 'cpu')
        finally:
            torch.set_num_threads(threads)
        StudyFolder(settings.out, study).keep_costs(
            {
                **describe_conditions('cpu'),
                'load_average': [load, os.getloadavg()[0]],
                'steps': {row.title: time for row, time in zip(runs, times, strict=True)},
            }
        )
