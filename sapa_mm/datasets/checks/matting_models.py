"""Settings with which a matting model learns or is tested otherwise than is meant."""

import contextlib
import inspect
from collections.abc import Collection, Iterator
from typing import Any

from mmengine.config import Config
from mmengine.registry import DATASETS, MODELS

from ...utils.configs import datasets_of, loads_labels, type_name
from .dataset_config import DatasetConfig, default_of, find_class, is_known_step
from .loading import Header, format_size
from .report import ReportLine
from .truths import TRUTHS, metrics_of, truth_of


def find_matting_model_problems(cfg: Config, splits: Collection[str]) -> Iterator[ReportLine]:
    """Find what does not go together in the config of a matting model.

    Args:
        cfg (Config): The config. Its default scope must be the current one.
        splits (Collection[str]): What a run reads: 'train', 'val', 'test'.

    Yields:
        ReportLine: Errors and notes; nothing for models of other tasks.
    """
    if truth_of(cfg.get('model')) != TRUTHS['matting']:
        return
    yield from _preprocessor_problems(cfg.model.get('data_preprocessor') or {})
    for split in splits:
        if split == 'train':
            continue
        yield from _metric_problems(cfg, split)
        batch_size = (cfg.get(f'{split}_dataloader') or {}).get('batch_size', 1)
        if batch_size != 1 and len(sizes := _sizes(cfg, split)) > 1:
            some = [f'{format_size(size)} ({path})' for size, path in sizes.items()][:2]
            text = f'is {batch_size}, but images have several sizes, such as {" and ".join(some)}'
            yield ReportLine('error', f'{split}_dataloader.batch_size {text}; 1 takes any')
    trained = {_images(dataset): name for name, dataset in datasets_of(cfg, 'train')}
    for name, dataset in datasets_of(cfg, 'val') if {'train', 'val'} <= set(splits) else ():
        if (other := trained.get(_images(dataset))) is not None:
            text = f'{name} reads the mattes of {other}: its metrics are those of training data'
            yield ReportLine('note', text)


def _sizes(cfg: Config, split: str) -> dict[tuple[int, int], str]:
    """The sizes of all images, each with one of them; none if they cannot be listed."""
    sizes: dict[tuple[int, int], str] = {}
    for _, dataset in datasets_of(cfg, split):
        if DatasetConfig(dataset, '').loader == 'MattingDataset':
            with contextlib.suppress(Exception):  # told elsewhere
                built = DATASETS.build({**dataset, 'pipeline': []})
                for index in range(len(built)):
                    path = built.get_data_info(index)['img_path']
                    sizes.setdefault(Header.read(path).upright, path)
    return sizes


def _preprocessor_problems(config: dict) -> Iterator[ReportLine]:
    key = 'model.data_preprocessor'
    kind = find_class(MODELS, config.get('type', 'MattingDataPreprocessor'))
    bases = [base.__name__ for base in inspect.getmro(kind or object)]
    if kind is not None and 'MattingDataPreprocessor' not in bases:
        if kind.__module__.startswith(('mmengine.', 'mmseg.', 'mmdet.')):
            text = f'{kind.__name__} does not join the trimap; take MattingDataPreprocessor'
            yield ReportLine('error', f'{key}: {text}')
        return
    for option in ('mean', 'std'):
        values = config.get(option, default_of(kind, option))
        if isinstance(values, (list, tuple)) and values and max(values) <= 1:
            text = f'{option} is {list(values)}, of colours in 0..1; images come in 0..255'
            yield ReportLine('error', f'{key}.{text}')
    if not config.get('bgr_to_rgb', True):
        text = 'bgr_to_rgb=False: images reach the model in BGR, pretrained weights are of RGB'
        yield ReportLine('note', f'{key}.{text}')


def _metric_problems(cfg: Config, split: str) -> Iterator[ReportLine]:
    # A test may save predictions alone; testing looks at that itself.
    for key, metric, truth in metrics_of(cfg, split) if split == 'val' else ():
        for name, dataset in datasets_of(cfg, split) if truth == TRUTHS['matting'] else ():
            steps = dataset.get('pipeline') or []
            kind = type_name(metric['type'])
            is_sure = steps and all(map(is_known_step, steps))
            if is_sure and not loads_labels(steps):
                text = f'{kind} needs alpha mattes, {name}.pipeline loads none'
                yield ReportLine('error', f'{key}: {text}; take LoadAlphaAnnotations')


def _images(dataset: dict) -> Any:
    """What tells which mattes a dataset reads."""
    config = DatasetConfig(dataset, '')
    return config.path('data_prefix.alpha_path'), config.path('ann_file')
