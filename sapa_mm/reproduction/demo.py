"""The demos on generated data: one model with two upsamplers, their table and their picture."""

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from mmengine.registry import DATASETS
from torch import nn
from torch.utils.data import Dataset

from ..engine.config import in_scope, read_config
from ..evaluation.matting_errors import ERRORS
from ..utils.files import check_writable, write_whole
from ..utils.text import markdown_table
from .demo_pictures import draw_errors, draw_kernels, draw_panoptic
from .generated_data import data_folder, make_missing_data
from .paper_tables import DEPTH_COLUMNS
from .small_models import SMALL_MODELS, SmallModel
from .training_result import Metric, TrainingResult
from .training_run import TrainingRun


@dataclass(frozen=True)
class Demo:
    """A demo.

    Attributes:
        model (SmallModel): The model.
        metrics (Sequence[Metric]): The metrics that are compared.
        draw (Callable): ``draw(models, dataset, path)`` draws the picture of trained models, by
            their names, on a validation set.
        iterations (int, optional): Training iterations. Defaults to None, for those of the configs.
    """

    model: SmallModel
    metrics: Sequence[Metric]
    draw: Callable[[dict[str, nn.Module], Dataset, str], None]
    iterations: int | None = None


DEMOS = {
    'segmentation': Demo(
        SMALL_MODELS['segformer'], [Metric('mIoU', 'mIoU'), Metric('bIoU', 'bIoU')], draw_kernels
    ),
    'detection': Demo(
        SMALL_MODELS['panoptic_fpn'],
        [
            Metric('box AP', 'coco/bbox_mAP', 100),
            Metric('mask AP', 'coco/segm_mAP', 100),
            Metric('PQ', 'coco_panoptic/PQ'),
        ],
        draw_panoptic,
    ),
    'depth': Demo(
        SMALL_MODELS['depthformer'],
        [Metric(title, key, digits=3) for title, key in DEPTH_COLUMNS.items()],
        draw_errors,
        # All of the 1500 would take two cores half an hour.
        iterations=300,
    ),
    'matting': Demo(
        SMALL_MODELS['a2u_matting'],
        [Metric(title, title, digits=4 if title == 'MSE' else 3) for title in ERRORS],
        draw_errors,
        # All of the 600 would take two cores a quarter of an hour.
        iterations=300,
    ),
}
"""The demos, by task."""


def run_demo(
    task: str, configs: str, data_root: str | None, out: str | None, cfg_options: dict | None = None
) -> str:
    """Train a model with the stock interpolation and with SAPA-D, same seed and schedule.

    Args:
        task (str): 'segmentation' for SegFormer, 'detection' for Panoptic FPN, which predicts
            boxes, masks and panoptic maps, 'depth' for DepthFormer, 'matting' for A2U matting.
        configs (str): Folder of the configs.
        data_root (str | None): Folder of the generated data, written if missing; None for that of
            the task's kind of data in ``data``.
        out (str | None): Folder for ``table.md``, ``comparison.png`` and the work directories; None
            for ``work_dirs/demo_{task}``.
        cfg_options (dict, optional): Settings to override in both configs. Defaults to None.

    Returns:
        str: The table.
    """
    out = out or os.path.join('work_dirs', f'demo_{task}')
    check_writable(out, 'out', is_folder=True)
    demo = DEMOS[task]
    data_root = data_folder(data_root, demo.model.kind)
    make_missing_data(data_root, demo.model.kind)
    models, results = {}, {}
    for name in (demo.model.interpolation, 'SAPA-D'):
        work_dir = os.path.join(out, 'work_dirs', name.lower())
        run = demo.model.run(name, name, configs, data_root, work_dir, cfg_options, demo.iterations)
        models[name], results[name] = run.train_here()
    table = format_table(results, demo.metrics)
    write_whole(os.path.join(out, 'table.md'), table + '\n')

    picture = os.path.join(out, 'comparison.png')
    demo.draw(models, _validation_set(run), picture)
    print(f'\n{table}\n\nPicture: {picture}')
    return table


def format_table(results: dict[str, TrainingResult], metrics: Sequence[Metric]) -> str:
    """Format results as a Markdown table.

    Args:
        results (dict[str, TrainingResult]): By name; differences are against the first.
        metrics (Sequence[Metric]): The metrics to show.

    Returns:
        str: The table.
    """
    first, rows = next(iter(results.values())), []
    for name, result in results.items():
        values = [metric.value(result.metrics) for metric in metrics]
        cells = [metric.format(value) for metric, value in zip(metrics, values, strict=True)]
        cells.append(f'{result.parameters:,}')
        if result is not first:
            deltas = [
                f' ({metric.format(value - metric.value(first.metrics), "+")})'
                for metric, value in zip(metrics, values, strict=True)
            ]
            deltas.append(f' ({result.parameters - first.parameters:+,})')
            cells = [cell + delta for cell, delta in zip(cells, deltas, strict=True)]
        rows.append([name, *cells, f'{result.seconds_per_iteration:.3f}'])
    titles = [metric.title for metric in metrics]
    return markdown_table(['upsampler', *titles, 'parameters', 's / iteration'], rows)


def _validation_set(run: TrainingRun) -> Dataset:
    cfg = read_config(*run.recipe())
    with in_scope(cfg):
        return DATASETS.build(cfg.val_dataloader.dataset)
