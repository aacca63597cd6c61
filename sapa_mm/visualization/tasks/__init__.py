"""The tasks whose models can be drawn, each in a file of its own."""

from typing import Any

from .depth_estimation import DepthEstimation
from .detection import Detection
from .matting import Matting
from .segmentation import Segmentation
from .task import Task

__all__ = ['TASKS', 'Task', 'task_of']

#: The tasks; of a sample that fits several, the first counts.
TASKS: tuple[Task, ...] = (Detection(), Segmentation(), DepthEstimation(), Matting())


def task_of(prediction: Any) -> Task:
    """Finds the task of a prediction.

    Args:
        prediction (BaseDataElement): A prediction.

    Returns:
        Task: The task.

    Raises:
        ValueError: If it is that of none.
    """
    for task in TASKS:
        if task.predicts(prediction):
            return task
    raise ValueError(
        f'only {", ".join(task.drawn for task in TASKS)} can be drawn; the model predicts '
        f'{", ".join(prediction.keys()) or "nothing"}'
    )
