"""The pictures of the study: boundary IoU against cost, and what the models predict."""

import os
from collections.abc import Sequence

import numpy as np
from matplotlib.figure import Figure
from matplotlib.patches import Patch
from PIL import Image

from ...datasets.scenes.scene import generate_scene
from ...engine.config import read_config
from ...utils.files import whole_file
from ...visualization.canvas import grid, show
from .studies import COMPARED, Study
from .study_results import StudyFolder, StudyRecord, mean_of, titled


def plot_costs(records: dict[Study, StudyRecord], path: str) -> None:
    """Plot the last measure, of the boundaries, against the time of an iteration.

    Args:
        records (dict): By study; the first row is what costs are relative to.
        path (str): The file.
    """
    figure = Figure((5.4 * len(records), 4.2), layout='constrained')
    axes = figure.subplots(1, len(records), squeeze=False)[0]
    for axis, (study, record) in zip(axes, records.items(), strict=True):
        measure = record.measures[-1]
        base = next((row for row in record.results if row.title == COMPARED[0]), None)
        for row, runs in record.results.items():
            if row.length != 1:
                continue
            metric = mean_of(runs, measure)
            cost = record.seconds[row] / (record.seconds[base] if base else 1)
            color = '#c1440e' if row.upsampler.startswith('SAPA') else '#444444'
            axis.errorbar(
                cost,
                metric.mean,
                yerr=metric.std,
                fmt='o',
                color=color,
                fillstyle='full' if len(runs) > 1 else 'none',
                capsize=2,
            )
            axis.annotate(
                row.title,
                (cost, metric.mean),
                (5, 4),
                textcoords='offset points',
                fontsize=8,
                color=color,
            )
        axis.set_title(study.title, fontsize=9)
        unit = f'{base.title} = 1' if base else 'seconds'
        axis.set_xlabel(f'time of a training iteration, {unit}', fontsize=9)
        axis.set_ylabel(f'{titled(measure)}, %', fontsize=9)
        axis.margins(x=0.15)
    figure.supxlabel(
        'filled: mean and standard deviation over seeds; hollow: one run',
        fontsize=8,
        x=0.99,
        ha='right',
    )
    with whole_file(path) as partial:
        figure.savefig(partial, dpi=110)


def draw_predictions(
    records: dict[Study, StudyRecord], folders: Sequence[str], configs: str, path: str
) -> None:
    """Draw what the compared upsamplers predict of one image of each study, a row per study.

    A generated image is drawn too, with its truth; an image of CamVid may not be passed on.

    Args:
        records (dict): By study.
        folders (Sequence[str]): The folders with the predictions.
        configs (str): Folder of the configs, which name the classes and their colours.
        path (str): The file.
    """
    figure, axes = grid(len(records), 2 + len(COMPARED), 2.1, 2.1)
    for panels, (study, record) in zip(axes, records.items(), strict=True):
        meta = read_config(os.path.join(configs, study.config)).test_dataloader.dataset.metainfo
        palette = np.asarray(meta.palette, np.uint8)
        if study.generated is not None:
            scene = generate_scene(int(study.pictured.rpartition('_')[2]))
            show(panels[0], scene.image, 'image')
            # 0 is none of the classes.
            show(panels[1], palette[scene.semantic - 1], 'truth')
        else:
            colors = [Patch(color=np.divide(color, 255)) for color in meta.palette]
            panels[0].legend(colors, meta.classes, fontsize=7, ncols=2, loc='center', frameon=False)
        by_title = {row.title: row for row in record.results}
        for axis, title in zip(panels[2:], COMPARED, strict=True):
            row = by_title.get(title)
            paths = [
                StudyFolder(out, study).path(row, row.seeds[0], '.png') for out in folders if row
            ]
            if found := [path for path in paths if os.path.isfile(path)]:
                show(axis, palette[np.asarray(Image.open(found[0]))], title)
    with whole_file(path) as partial:
        figure.savefig(partial, dpi=130)
