"""Testing: preparing and checking the config, and the run."""

import copy
import os
from typing import Any

from mmengine.config import Config
from mmengine.dist import master_only
from mmengine.hooks import LoggerHook

from ..datasets.checks import check_data
from ..utils.configs import type_name
from ..utils.files import check_writable
from .check_loading_hook import CheckLoadingHook
from .config import check_checkpoint, in_scope
from .run import build_runner, read_run_config
from .settings import check_settings


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
) -> Config:
    """Read a config for testing and check it.

    Args:
        config (str): The config file, of mmseg or mmdet.
        checkpoint (str): The checkpoint to test, a path or a URL.
        work_dir (str, optional): Where the log and the metrics go. Defaults to the config's own,
            or to ``./work_dirs/<name of the config>``.
        out (str, optional): Where to save the predictions: with mmseg a folder, for PNG label maps
            as in the dataset; with mmdet a ``.pkl`` file. Defaults to None.
        show_dir (str, optional): A folder to draw the predictions into. Defaults to None.
        tta (bool): Whether to use test time augmentation. Defaults to False.
        cfg_options (dict, optional): Settings to override, with dotted keys. Defaults to None.
        data_root (str, optional): Folder of the data in place of the config's, see
            ``read_config``. Defaults to None.
        launcher (str): The job launcher: 'none', 'pytorch', 'slurm' or 'mpi'.
            Defaults to 'none'.
        allow_partial (bool): Whether to load what fits of a checkpoint that does not fit the model,
            and warn. Defaults to False.

    Returns:
        Config: The config.

    Raises:
        OSError: If the config or the checkpoint is missing, or ``work_dir``, ``out`` or
            ``show_dir`` cannot be written to.
        ValueError: If an argument does not suit the config, files of the dataset are missing or
            wrong, or the checkpoint is damaged.
    """
    cfg = read_run_config(config, work_dir, cfg_options, launcher, data_root)
    check_checkpoint(checkpoint, 'checkpoint')
    cfg.load_from = checkpoint
    cfg.resume = False
    cfg.pop('allow_partial', None)
    if allow_partial:
        cfg.allow_partial = True
    if cfg.get('test_dataloader') is None:
        raise ValueError(f'config: {config} has no test_dataloader')
    with in_scope(cfg):
        check_data(cfg, ['test'])
        check_settings(cfg, ['test'])
    if out is not None:
        _save_predictions(cfg, out)
    if show_dir is not None:
        check_writable(show_dir, 'show_dir', is_folder=True)
        _draw_predictions(cfg, os.path.abspath(show_dir))
    if tta:
        _use_tta(cfg)
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
    runner = build_runner(cfg, local_rank, ('test_loop',))
    for hook in runner.hooks:
        if isinstance(hook, LoggerHook):
            # mmengine has every process write the metrics, over those of the others.
            hook.after_test_epoch = master_only(hook.after_test_epoch)
    runner.register_hook(CheckLoadingHook('checkpoint', cfg.get('allow_partial', False)))
    return runner.test()


def _scope(cfg: Config, argument: str) -> str:
    scope = cfg.get('default_scope')
    if scope not in ('mmseg', 'mmdet'):
        raise ValueError(f'{argument} needs default_scope mmseg or mmdet, the config has {scope}')
    return scope


def _save_predictions(cfg: Config, out: str) -> None:
    scope = _scope(cfg, 'out')
    evaluator = cfg.test_evaluator
    # One metric, a list, or an evaluator with a list.
    if isinstance(evaluator, dict) and 'metrics' in evaluator:
        evaluator = evaluator['metrics']
    metrics = list(evaluator) if isinstance(evaluator, (list, tuple)) else [evaluator]

    if scope == 'mmdet':
        if not out.endswith(('.pkl', '.pickle')):
            raise ValueError(f'out takes a .pkl file for an mmdet config, got {out}')
        check_writable(out, 'out')
        cfg.test_evaluator = [*metrics, {'type': 'DumpDetResults', 'out_file_path': out}]
        return
    if out.endswith(('.pkl', '.pickle')) or os.path.isfile(out):
        raise ValueError(f'out takes a folder (of label maps) for an mmseg config, got {out}')
    check_writable(out, 'out', is_folder=True)
    writers = ('IoUMetric', 'CityscapesMetric')
    kinds = [type_name(metric['type']) for metric in metrics]
    for metric, kind in zip(metrics, kinds, strict=True):
        if kind in writers:
            metric.update(output_dir=out, keep_results=True)
            return
    raise ValueError(f'out needs one of {writers} in test_evaluator, which has {kinds}')


def _draw_predictions(cfg: Config, show_dir: str) -> None:
    local = {'type': 'LocalVisBackend'}
    if _scope(cfg, 'show_dir') == 'mmseg':
        # mmseg draws through the visualizer's backends; upstream skips images by the interval.
        kind = 'Seg'
        visualizer = {'save_dir': show_dir, 'vis_backends': [local]}
        hook: dict[str, Any] = {'draw': True, 'interval': 1}
    else:
        # mmdet resolves a relative path against the work directory, again for every image.
        kind = 'Det'
        visualizer = {}
        hook = {'draw': True, 'test_out_dir': show_dir}

    own_visualizer = cfg.get('visualizer', {'name': 'visualizer', 'vis_backends': [local]})
    cfg.visualizer = {'type': f'{kind}LocalVisualizer', **own_visualizer, **visualizer}
    own_hook = cfg.get('default_hooks', {}).get('visualization') or {}
    own_hook = {'type': f'{kind}VisualizationHook', **own_hook, **hook}
    cfg.merge_from_dict({'default_hooks.visualization': own_hook})


def _use_tta(cfg: Config) -> None:
    dataset = cfg.test_dataloader.dataset
    while 'dataset' in dataset:
        dataset = dataset.dataset
    if _scope(cfg, 'tta') == 'mmdet':
        cfg.setdefault('tta_model', _DET_TTA_MODEL)
        cfg.setdefault('tta_pipeline', [*copy.deepcopy(dataset.pipeline)[:-1], _DET_TTA])
    missing = [key for key in ('tta_model', 'tta_pipeline') if key not in cfg]
    if missing:
        raise ValueError(f'tta needs {" and ".join(missing)} in the config')
    cfg.model = dict(**cfg.tta_model, module=cfg.model)
    dataset.pipeline = cfg.tta_pipeline


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
