"""Testing: preparing and checking the config, and the run."""

import copy
import importlib.util
import os
from typing import Any

from mmengine.config import Config, ConfigDict
from mmengine.dist import master_only
from mmengine.hooks import LoggerHook
from mmengine.registry import DATASETS, MODELS

from ..datasets.checks import check_data
from ..datasets.checks.dataset_config import default_of, find_class, find_dataset, is_known_step
from ..utils.configs import (
    datasets_of,
    loads_labels,
    nested_configs,
    type_name,
    without_labels,
)
from ..utils.files import check_writable
from ..utils.log import log_info, log_warning
from ..utils.tasks import model_task
from .check_loading_hook import CheckLoadingHook
from .config import check_checkpoint, in_scope
from .run import build_runner, explain_building, read_run_config
from .settings import check_settings

#: How maps are saved; but for PNG, those of one task, and what they are called.
OUT_FORMATS = {
    'png': (None, 'maps'),
    'npy': ('depth', 'depth maps'),
    'rgba': ('matting', 'alpha mattes'),
}


def prepare_testing(
    config: str,
    checkpoint: str,
    work_dir: str | None = None,
    out: str | None = None,
    show_dir: str | None = None,
    tta: bool = False,
    cfg_options: dict | None = None,
    data_root: str | None = None,
    launcher: str = 'none',
    allow_partial: bool = False,
    out_format: str = 'png',
) -> Config:
    """Read a config for testing and check it.

    Args:
        config (str): The config file.
        checkpoint (str): The checkpoint to test, a path or a URL.
        work_dir (str, optional): Where the log and the metrics go. Defaults to the config's own,
            or to ``./work_dirs/<name of the config>``.
        out (str, optional): Where to save the predictions: a folder, for PNG label maps as in the
            dataset, depth maps or alpha mattes; with mmdet a ``.pkl`` file. Defaults to None.
        show_dir (str, optional): A folder to draw the predictions into. Defaults to None.
        tta (bool): Whether to use test time augmentation; of depth models, the average of each
            image and its mirror. Defaults to False.
        cfg_options (dict, optional): Settings to override, with dotted keys. Defaults to None.
        data_root (str, optional): Folder of the data in place of the config's, see
            ``read_config``. Defaults to None.
        launcher (str): The job launcher: 'none', 'pytorch', 'slurm' or 'mpi'.
            Defaults to 'none'.
        allow_partial (bool): Whether to load what fits of a checkpoint that does not fit the model,
            and warn. Defaults to False.
        out_format (str): How to save maps: 'png', depth in 16 bits of millimetres and alpha in 8
            bits; 'npy', depth in float32 of metres; 'rgba', cut-outs of matting. Defaults to 'png'.

    Returns:
        Config: The config.

    Raises:
        OSError: If the config or the checkpoint is missing, or ``work_dir``, ``out`` or
            ``show_dir`` cannot be written to.
        ValueError: If an argument does not suit the config, files of the dataset are missing or
            wrong, or the checkpoint is damaged.
    """
    cfg = read_run_config(config, work_dir, cfg_options, launcher, data_root)
    _check_format(cfg, out, out_format)
    check_checkpoint(checkpoint, 'checkpoint')
    cfg.load_from = checkpoint
    cfg.resume = False
    cfg.pop('allow_partial', None)
    # A test looks for no best checkpoint; mmengine would ask whether more of its metric is better.
    for setting in ('save_best', 'rule'):
        ((cfg.get('default_hooks') or {}).get('checkpoint') or {}).pop(setting, None)
    if allow_partial:
        cfg.allow_partial = True
    if cfg.get('test_dataloader') is None:
        raise ValueError(f'config: {config} has no test_dataloader')
    with in_scope(cfg):
        check_data(cfg, ['test'])
        check_settings(cfg, ['test'])
    if tta:
        _use_tta(cfg)
    _check_labels(cfg, saves=out is not None or show_dir is not None)
    if out is not None:
        _save_predictions(cfg, out, out_format)
    if show_dir is not None:
        check_writable(show_dir, 'show_dir', is_folder=True)
        _check_apart(cfg, show_dir, 'show_dir')
        _draw_predictions(cfg, os.path.abspath(show_dir))
    return cfg


def run_testing(cfg: Config, local_rank: int = 0) -> dict[str, float]:
    """Test a checkpoint.

    Args:
        cfg (Config): The config, from ``prepare_testing``.
        local_rank (int): See ``build_runner``. Defaults to 0.

    Returns:
        dict: The metrics, which are also logged and written to a JSON file in the work directory.

    Raises:
        CheckpointError: If the checkpoint cannot be loaded, or does not fit the model.
    """
    runner = build_runner(cfg, local_rank)
    for hook in runner.hooks:
        if isinstance(hook, LoggerHook):
            # mmengine has every process write the metrics, over those of the others.
            hook.after_test_epoch = master_only(hook.after_test_epoch)
    runner.register_hook(CheckLoadingHook('checkpoint', cfg.get('allow_partial', False)))
    with explain_building(runner, cfg):
        return runner.test()


def _scope(cfg: Config, argument: str) -> str:
    scope = cfg.get('default_scope')
    if scope not in _VISUALIZERS and model_task(_model_class(cfg)) != 'matting':
        raise ValueError(
            f'{argument} needs default_scope mmseg or mmdet, or a matting model; the config has '
            f'{scope}'
        )
    return scope


def _model_class(cfg: Config) -> Any:
    with in_scope(cfg):
        return find_class(MODELS, cfg.model.get('type'))


def _check_format(cfg: Config, out: str | None, out_format: str) -> None:
    if out_format not in OUT_FORMATS:
        raise ValueError(f'out_format must be {" or ".join(OUT_FORMATS)}, got {out_format}')
    if out_format == 'png':
        return
    if out is None:
        raise ValueError(f'out_format: {out_format} has no effect without `out`')
    task, maps = OUT_FORMATS[out_format]
    if model_task(_model_class(cfg)) != task:
        kind = type_name(cfg.model.get('type'))
        raise ValueError(f'out_format: {out_format} is for {maps}, {kind} predicts none')
    if out_format == 'rgba' and importlib.util.find_spec('pymatting') is None:
        raise ValueError('out_format: rgba needs pymatting: pip install pymatting')


def _metrics(cfg: Config) -> list[dict]:
    """The metrics of a test: one, a list, or an evaluator with a list."""
    evaluator = cfg.get('test_evaluator') or []
    if isinstance(evaluator, dict) and 'metrics' in evaluator:
        evaluator = evaluator['metrics']
    return list(evaluator) if isinstance(evaluator, (list, tuple)) else [evaluator]


def _check_labels(cfg: Config, saves: bool) -> None:
    """Leave out the metrics that need labels which the data does not have, if anything is saved."""
    metrics = _metrics(cfg)
    without = [key for key, dataset in datasets_of(cfg, 'test') if not _has_labels(cfg, dataset)]
    needed = [metric for metric in metrics if without and _needs_labels(metric)]
    formats = [metric for metric in metrics if _only_formats(metric)]
    if not needed and not formats:
        return
    names = ', '.join(type_name(metric['type']) for metric in needed or formats)
    if needed:
        problem = f'{names}: {without[0]}.pipeline loads no labels to measure against'
    else:
        problem = f'{names}: format_only needs output_dir'
    if not saves:
        raise ValueError(f'test_evaluator: {problem}; `out` or `show_dir` saves predictions alone')
    if needed:
        log_warning(f'Left out: {problem}')
    cfg.test_evaluator = [
        metric for metric in metrics if metric not in needed and metric not in formats
    ]


def _has_labels(cfg: Config, dataset: dict) -> bool:
    """Tell whether labels come with the images of a dataset; if not sure, they do."""
    pipeline = dataset.get('pipeline')
    if not pipeline or loads_labels(pipeline):
        return True
    with in_scope(cfg):
        if all(map(is_known_step, pipeline)):
            return False
        try:  # a step of somebody's own may load labels
            samples = DATASETS.build(copy.deepcopy(dataset))[0]['data_samples']
            return any(key.startswith('gt_') for key in samples.all_keys())
        except Exception:
            return True


def _needs_labels(metric: dict) -> bool:
    """Tell whether a metric of mmseg, of mmdet or of ours takes labels from the data samples."""
    kind = type_name(metric.get('type'))
    if metric.get('format_only') or kind.startswith('Dump'):
        return False
    return kind in _LABEL_METRICS or (kind in _COCO_METRICS and not metric.get('ann_file'))


def _only_formats(metric: dict) -> bool:
    """Tell whether a metric is to write maps alone, without saying where."""
    writes = type_name(metric.get('type')) in _WRITING_METRICS
    return writes and bool(metric.get('format_only')) and not metric.get('output_dir')


def _save_predictions(cfg: Config, out: str, out_format: str) -> None:
    if _scope(cfg, 'out') == 'mmdet':
        if not out.endswith(('.pkl', '.pickle')):
            raise ValueError(f'out takes a .pkl file for an mmdet config, got {out}')
        check_writable(out, 'out')
        dump = {'type': 'DumpDetResults', 'out_file_path': out}
        cfg.test_evaluator = [*_metrics(cfg), dump]
        return
    if out.endswith(('.pkl', '.pickle')) or os.path.isfile(out):
        kind = type_name(cfg.model.get('type'))
        raise ValueError(f'out takes a folder (of maps) for {kind}, got {out}')
    check_writable(out, 'out', is_folder=True)
    _check_apart(cfg, out, 'out')
    for metric in _metrics(cfg):
        if type_name(metric.get('type')) == 'CityscapesMetric':
            # It numbers the classes as Cityscapes' server does.
            metric.update(output_dir=out, keep_results=True)
            return
    _save(cfg, out=out, out_format=out_format)


def _check_apart(cfg: Config, folder: str, name: str) -> None:
    """Refuse a folder of the data: what is written has the names of the images."""
    place = os.path.realpath(folder)
    for split in ('train', 'val', 'test'):
        for key, dataset in datasets_of(cfg, split):
            root = dataset.get('data_root') or ''
            prefixes = dataset.get('data_prefix')
            if prefixes is None:
                with in_scope(cfg):
                    prefixes = default_of(find_dataset(dataset.get('type')), 'data_prefix')
            for kind, prefix in (prefixes or {}).items():
                data = os.path.realpath(os.path.join(root, prefix or ''))
                # Several folders of images keep their names; the root of the data is above them.
                inside = place.startswith(os.path.join(os.path.realpath(root), ''))
                if data == place or (inside and data.startswith(os.path.join(place, ''))):
                    raise ValueError(
                        f'{name}: {folder} has files of {key}.data_prefix.{kind}, which would be '
                        'overwritten; take a folder apart from the data'
                    )


def _draw_predictions(cfg: Config, show_dir: str) -> None:
    kind = _VISUALIZERS.get(_scope(cfg, 'show_dir'), 'Visualizer')
    own = cfg.get('visualizer') or {'name': 'visualizer'}
    visualizer = ConfigDict(type=kind)
    visualizer.update(own)  # unlike `**own` it keeps what is imported on use, which can be written
    cfg.visualizer = visualizer
    # The host's hook draws all images of one name into one file.
    stock = (cfg.get('default_hooks') or {}).pop('visualization', None) or {}
    _save(cfg, show_dir=show_dir, score_thr=stock.get('score_thr', 0.3))


def _save(cfg: Config, **settings: Any) -> None:
    """Have the predictions saved; see ``SavePredictionsHook``."""
    hook = {'type': 'SavePredictionsHook', **settings}
    cfg.custom_hooks = [*(cfg.get('custom_hooks') or []), hook]


def _use_tta(cfg: Config) -> None:
    kind = _model_class(cfg)
    if model_task(kind) == 'matting':
        name = type_name(cfg.model.get('type'))
        raise ValueError(f'tta: {name} predicts from each image once; test without `tta`')
    # mmseg's model for label maps is in the runtime settings of many configs.
    merger = type_name((cfg.get('tta_model') or {'type': 'SegTTAModel'}).get('type'))
    if model_task(kind) == 'depth' and merger == 'SegTTAModel':
        _average_flips(cfg, kind)
        return
    own = cfg.get('tta_pipeline')
    if _scope(cfg, 'tta') == 'mmdet':
        cfg.setdefault('tta_model', _DET_TTA_MODEL)
    elif own is None:
        raise ValueError('tta needs tta_pipeline in the config')
    if 'tta_model' not in cfg:
        raise ValueError('tta needs tta_model in the config')
    _check_tta_model(cfg.model, type_name(cfg.tta_model.get('type')))
    for _, dataset in datasets_of(cfg, 'test'):
        pipeline = copy.deepcopy(own or [*dataset['pipeline'][:-1], _DET_TTA])
        # A test set without labels.
        dataset['pipeline'] = pipeline if _has_labels(cfg, dataset) else without_labels(pipeline)
    model = copy.deepcopy(cfg.tta_model)
    model['module'] = cfg.model
    cfg.model = model


def _average_flips(cfg: Config, kind: type) -> None:
    """Have a depth model average its predictions of each image and of its mirror."""
    test_cfg = cfg.model.get('test_cfg') or {}
    mode = test_cfg.get('mode', 'whole')
    if mode.endswith('flip'):
        log_info(f'tta: changes nothing, model.test_cfg.mode {mode} averages flips already')
        return
    if all(base.__name__ != 'FlipDepthEstimator' for base in kind.__mro__):
        raise ValueError(
            f'tta needs model.type FlipDepthEstimator, or a model.test_cfg.mode that averages '
            f'flips; the config has {type_name(cfg.model.type)} and {mode}'
        )
    cfg.model.test_cfg = {**test_cfg, 'mode': f'{mode}_flip'}
    log_info(f'tta: model.test_cfg.mode {mode}_flip averages each image and its mirror')


def _check_tta_model(model: dict, merger: str) -> None:
    """Refuse what the hosts' models for test time augmentation cannot merge."""
    for key, part in nested_configs(model, 'model'):
        masks = [name for name in _MASK_PARTS if part.get(name)]
        if type_name(part.get('type')).startswith('RTMDetIns'):
            masks.append('type')
        if merger == 'DetTTAModel' and masks:
            raise ValueError(
                f'tta: DetTTAModel merges boxes only, and {key}.{masks[0]} gives masks; test '
                'without `tta`'
            )
        if merger == 'SegTTAModel' and part.get('out_channels') == 1 and 'num_classes' in part:
            raise ValueError(
                f'tta: SegTTAModel takes the sigmoid twice where {key}.out_channels is 1, so that '
                'every pixel is above the threshold; test without `tta`'
            )


_LABEL_METRICS = ('IoUMetric', 'BoundaryIoUMetric', 'CityscapesMetric', 'DepthMetric',
                  'MattingMetric', 'MonocularDepthMetric', 'VOCMetric',
                  'OpenImagesMetric')  # fmt: skip
_WRITING_METRICS = ('IoUMetric', 'BoundaryIoUMetric', 'DepthMetric', 'MonocularDepthMetric')
_COCO_METRICS = ('CocoMetric', 'CocoPanopticMetric')
_VISUALIZERS = {'mmseg': 'SegLocalVisualizer', 'mmdet': 'DetLocalVisualizer'}
_MASK_PARTS = ('mask_head', 'panoptic_head', 'panoptic_fusion_head', 'semantic_head', 'segm_head')
# The fallbacks of mmdet's own tool.
_DET_TTA_MODEL = {
    'type': 'DetTTAModel',
    'tta_cfg': {'nms': {'type': 'nms', 'iou_threshold': 0.5}, 'max_per_img': 100},
}
_DET_META_KEYS = ('img_id', 'img_path', 'ori_shape', 'img_shape', 'scale_factor', 'flip')
_DET_TTA = {
    'type': 'TestTimeAug',
    'transforms': [
        [{'type': 'RandomFlip', 'prob': 1.0}, {'type': 'RandomFlip', 'prob': 0.0}],
        [{'type': 'PackDetInputs', 'meta_keys': (*_DET_META_KEYS, 'flip_direction')}],
    ],
}
