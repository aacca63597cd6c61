"""The main jobs on the generated scenes: two upsamplers in one model, one table, one picture."""

import os
from collections.abc import Sequence
from dataclasses import dataclass

from mmengine.registry import DATASETS
from torch.utils.data import Dataset

from ..engine.config import in_scope, read_config
from ..utils.files import write_whole
from ..utils.text import markdown_table
from .demo_pictures import draw_comparison, draw_panoptic
from .scenes import make_missing_scenes, scenes_run
from .training_result import TrainingResult
from .training_run import TrainingRun


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


@dataclass(frozen=True)
class _Demo:
    """A demo: its configs, the model's own interpolation, and the metrics that are compared."""

    config: str
    interpolation: str
    metrics: Sequence[Metric]


_DEMOS = {
    'segmentation': _Demo(
        'segformer/segformer_mit-tiny_{}_1xb8-300_scenes-128x128.py',
        'Bilinear',
        [Metric('mIoU', 'mIoU'), Metric('bIoU', 'bIoU')],
    ),
    'detection': _Demo(
        'panoptic_fpn/panoptic-fpn_r18-small_{}_1xb8-300_scenes-160x160.py',
        'Nearest',
        [
            Metric('box AP', 'coco/bbox_mAP', 100),
            Metric('mask AP', 'coco/segm_mAP', 100),
            Metric('PQ', 'coco_panoptic/PQ'),
        ],
    ),
}


def run_demo(
    task: str, configs: str, data_root: str, out: str, cfg_options: dict | None = None
) -> str:
    """Train a model with the stock interpolation and with SAPA-D, same seed and schedule.

    Args:
        task (str): 'segmentation' for SegFormer, 'detection' for Panoptic FPN, which gives boxes,
            masks and panoptic maps.
        configs (str): Folder of the configs.
        data_root (str): Folder of the generated scenes; made where it is missing.
        out (str): Folder for ``table.md``, ``comparison.png`` and the work directories.
        cfg_options (dict, optional): Settings to override in both configs. Defaults to None.

    Returns:
        str: The table.
    """
    make_missing_scenes(data_root)
    demo = _DEMOS[task]
    models, results = {}, {}
    for name in (demo.interpolation, 'SAPA-D'):
        config = os.path.join(configs, demo.config.format(name.lower()))
        work_dir = os.path.join(out, 'work_dirs', name.lower())
        run = scenes_run(name, config, data_root, work_dir, cfg_options)
        models[name], results[name] = run.train_here()
    table = format_table(results, demo.metrics)
    write_whole(os.path.join(out, 'table.md'), table + '\n')

    picture = os.path.join(out, 'comparison.png')
    dataset = _validation_set(run)
    if task == 'segmentation':
        draw_comparison(models, kernels_of='SAPA-D', dataset=dataset, index=0, path=picture)
    else:
        draw_panoptic(models, dataset, range(3), picture)
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
        cells = [f'{metric.of(result):.2f}' for metric in metrics] + [f'{result.parameters:,}']
        if result is not first:
            deltas = [f' ({metric.of(result) - metric.of(first):+.2f})' for metric in metrics]
            deltas.append(f' ({result.parameters - first.parameters:+,})')
            cells = [cell + delta for cell, delta in zip(cells, deltas, strict=True)]
        rows.append([name, *cells, f'{result.seconds_per_iteration:.3f}'])
    titles = [metric.title for metric in metrics]
    return markdown_table(['upsampler', *titles, 'parameters', 's / iteration'], rows)


def _validation_set(run: TrainingRun) -> Dataset:
    cfg = read_config(*run.recipe())
    with in_scope(cfg):
        return DATASETS.build(cfg.val_dataloader.dataset)
