"""The labels that data sets, losses and metrics of mmseg leave out, which must be the same."""

from collections.abc import Iterable, Iterator

from mmengine.config import Config

from ...utils.coco_panoptic import IGNORE_INDEX
from ...utils.configs import datasets_of, nested_configs, type_name
from .dataset_config import DatasetConfig, find_dataset
from .report import ReportLine

_METRICS = ('IoUMetric', 'BoundaryIoUMetric')


def ignored_labels(cfg: Config, split: str) -> dict[str, int]:
    """Find the labels that the readers of a split's label maps leave out.

    Args:
        cfg (Config): The config.
        split (str): 'train', read by the losses of the heads, or 'val' or 'test', read by metrics.

    Returns:
        dict[str, int]: The label by the key of each reader's ``ignore_index``, numbered as the
        pipeline passes labels on. Empty if nothing of mmseg reads them.
    """
    if 'decode_head' not in (cfg.get('model') or {}):
        return {}
    name = 'model' if split == 'train' else f'{split}_evaluator'
    return {
        f'{key}.ignore_index': part.get('ignore_index', IGNORE_INDEX)
        for key, part in nested_configs(cfg.get(name), name)
        if _reads_labels(part)
    }


def find_ignored_problems(cfg: Config, splits: Iterable[str]) -> Iterator[ReportLine]:
    """Find data sets, losses and metrics that leave out different labels.

    Args:
        cfg (Config): The config. Its default scope must be the current one.
        splits (Iterable[str]): Those to look at.

    Yields:
        ReportLine: An error where a label that is no class would be read as one, a note where
        classes are left out by some only.
    """
    loss = ignored_labels(cfg, 'train')
    heads = [part for _, part in nested_configs(cfg.get('model'), 'model')]
    classes = max((part.get('num_classes') or 0 for part in heads), default=0)
    for split in splits:
        readers = ignored_labels(cfg, split)
        if not readers:
            continue
        datasets = list(datasets_of(cfg, split))
        stated = {
            f'{key}.ignore_index': dataset['ignore_index']
            for key, dataset in datasets
            if dataset.get('ignore_index') is not None
        }
        yield from _compare({**stated, **readers}, classes)
        for key, dataset in datasets:
            yield from _compare_with_loading(readers, dataset, key)
        if split == 'train':
            yield from _compare_with_padding(loss, cfg.model)
            continue
        key, index = next(iter(readers.items()))
        others = [f'{name} is {label}' for name, label in loss.items() if label != index]
        if others:
            text = 'they leave out other labels: right only if the label maps differ, too'
            yield ReportLine('note', f'{key} is {index}, {", ".join(others)}: {text}')


def _reads_labels(part: dict) -> bool:
    if part.get('ignore_index', IGNORE_INDEX) is None:  # all labels are classes
        return False
    if type_name(part.get('type')) in _METRICS:
        return not part.get('format_only')
    return 'num_classes' in part or 'ignore_index' in part


def _compare(indices: dict[str, int], classes: int) -> Iterator[ReportLine]:
    """Compare each with the first: that of the data set if it is stated."""
    (first, expected), *others = indices.items()
    for key, index in others:
        if index == expected:
            continue
        if any(0 <= label < classes for label in (index, expected)):
            text = 'they leave out other labels, and so speak of other classes'
            yield ReportLine('note', f'{key} is {index}, {first} is {expected}: {text}')
        else:
            text = f'pixels labelled {expected} would be taken for a class; set both to one label'
            yield ReportLine('error', f'{key} is {index}, {first} is {expected}: {text}')


def _compare_with_loading(
    readers: dict[str, int], dataset: dict, name: str
) -> Iterator[ReportLine]:
    """mmseg itself writes 255 when it leaves out the label 0, or some of the classes."""
    steps = [step for _, step in nested_configs(dataset.get('pipeline'), 'pipeline')]
    all_classes = getattr(find_dataset(dataset.get('type')), 'METAINFO', {}).get('classes')
    chosen = (dataset.get('metainfo') or {}).get('classes')
    if any(step.get('reduce_zero_label') for step in steps) or (
        DatasetConfig(dataset, name).setting('reduce_zero_label')
    ):
        reason = f'{name}.reduce_zero_label makes 0'
    elif all_classes and chosen and set(chosen) < set(all_classes):
        reason = f'{name}.metainfo.classes makes the classes that it leaves out'
    else:
        return
    for key, index in readers.items():
        if index != IGNORE_INDEX:
            yield ReportLine('error', f'{key} is {index}, but {reason} {IGNORE_INDEX}')


def _compare_with_padding(loss: dict[str, int], model: dict) -> Iterator[ReportLine]:
    preprocessor = model.get('data_preprocessor') or {}
    value = preprocessor.get('seg_pad_val', IGNORE_INDEX)
    pads = preprocessor.get('size') or preprocessor.get('size_divisor')
    wrong = [f'{key} is {index}' for key, index in loss.items() if pads and index != value]
    if wrong:
        text = f'the labels of padded pixels, model.data_preprocessor.seg_pad_val, are {value}'
        yield ReportLine('note', f'{text}, but {", ".join(wrong)}')
