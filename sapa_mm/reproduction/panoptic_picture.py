"""The demo's picture of panoptic predictions beside the truth."""

from collections.abc import Iterable

from torch import nn
from torch.utils.data import Dataset

from ..utils.whole_file import whole_file
from ..visualization.canvas import grid, panel_height, show
from ..visualization.observation import observe
from ..visualization.predictions_figure import prediction_panels
from ..visualization.subject import subject_of


def draw_panoptic(
    models: dict[str, nn.Module], dataset: Dataset, indices: Iterable[int], path: str
) -> None:
    """Draws images, true segments, and those that each model predicts, a row per image.

    Args:
        models (dict[str, nn.Module]): Panoptic segmentors of mmdet by name.
        dataset (Dataset): mmdet's ``CocoPanopticDataset``, with ``metainfo['palette']``.
        indices (Iterable[int]): Which of its samples; fewer if it has fewer.
        path (str): Where the PNG goes.
    """
    meta, rows = dict(dataset.metainfo), []
    for index in indices:
        if index < len(dataset):
            subject = subject_of(dataset, index)
            observations = [
                observe(name, model, dataset[index], subject.image, meta)
                for name, model in models.items()
            ]
            rows.append(prediction_panels(subject, observations))
    height = panel_height(rows[0][0][1], 3.4)
    figure, axes = grid(len(rows), 2 + len(models), 3.4, height)
    for row, panels in zip(axes, rows, strict=True):
        for axis, (title, picture) in zip(row, panels, strict=True):
            show(axis, picture, title)
    with whole_file(path) as partial:
        figure.savefig(partial, dpi=110)
