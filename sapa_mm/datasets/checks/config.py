"""What is wrong with the data of a config, told before a model is built."""

from collections.abc import Iterable, Iterator
from typing import Any

from mmengine.config import Config

from ...utils.configs import datasets_of, single_datasets
from .classes import find_class_problems, find_metainfo_problems
from .coco import CocoDataset, CocoReader, coco_dataset
from .coco_metrics import find_coco_metric_problems
from .depth_models import depth_range, find_depth_metric_problems, find_depth_model_problems
from .depth_pipelines import find_depth_loading_problems, find_depth_problems
from .ignored_labels import find_ignored_problems, ignored_labels
from .label_maps import find_label_problems
from .loading import find_loading_problems
from .matting_files import find_matting_file_problems
from .matting_models import find_matting_model_problems
from .matting_pipelines import find_matting_problems
from .metrics import find_metric_setting_problems
from .report import ReportLine, has_errors, raise_error
from .samples import inspect_samples, open_some
from .segmentation_files import find_file_problems
from .truths import find_metric_problems

SPLITS = ('train', 'val', 'test')


def check_data(cfg: Config, splits: Iterable[str]) -> None:
    """Check the data that a run will read, and open a few images.

    Args:
        cfg (Config): The config. Its default scope must be the current one.
        splits (Iterable[str]): Those that it reads: 'train', 'val', 'test'.

    Raises:
        ValueError: With the first error. Notes are logged as warnings.
    """
    splits, read = tuple(splits), CocoReader()
    for split in splits:
        raise_error(_problems_of_split(cfg, split, read))
    raise_error(find_depth_model_problems(cfg.get('model'), splits))
    raise_error(find_matting_model_problems(cfg, splits))
    raise_error(find_class_problems(cfg, splits, read))
    raise_error(find_ignored_problems(cfg, splits))
    for split in splits:
        ignored = set(ignored_labels(cfg, split).values())
        depth = depth_range(cfg, split)
        for name, dataset in datasets_of(cfg, split):
            described = _described(coco_dataset(dataset, name, read))
            raise_error(open_some(dataset, name, ignored, described, cfg.get('model'), depth))


def check_dataset(dataset: Any, name: str) -> None:
    """Check the files of one dataset; see ``check_data``.

    Args:
        dataset (dict or Any): The config of a dataset or a wrapper. Anything else passes.
        name (str): The key of this config.

    Raises:
        ValueError: With the first error. Notes are logged as warnings.
    """
    read = CocoReader()
    for key, single in single_datasets(dataset, name):
        raise_error(_problems_of_dataset(single, key, read))


def inspect_data(cfg: Config, samples: int = 200, seed: int = 0) -> Iterator[ReportLine]:
    """Check all data of a config, and open a sample of the images.

    Args:
        cfg (Config): The config. Its default scope must be the current one.
        samples (int): Number of images per dataset to open, with their annotations.
            Defaults to 200.
        seed (int): Seed for choosing the samples. Defaults to 0.

    Yields:
        ReportLine: An error for each problem, notes, and one line per dataset without errors.
    """
    read = CocoReader()
    seen: list[Any] = []
    all_names: list[ReportLine] = []
    for split in SPLITS:
        ignored = set(ignored_labels(cfg, split).values())
        for name, dataset in datasets_of(cfg, split):
            if dataset in seen:  # mostly the test set, which is that of validation
                continue
            seen.append(dataset)
            names = list(find_metainfo_problems(dataset, name, read))
            all_names += names
            yield from names
            if has_errors(names):
                continue
            coco = coco_dataset(dataset, name, read)
            files = list(_missing_files(dataset, name, coco))
            yield from files
            if has_errors(files):
                continue
            lines = list(_wrong_content(dataset, name, coco))
            yield from lines
            if coco is None or coco.is_readable:
                yield from inspect_samples(
                    dataset, name, samples, seed, has_errors(lines), ignored, cfg.get('model'),
                    _described(coco), depth_range(cfg, split),
                )  # fmt: skip
        evaluator = cfg.get(f'{split}_evaluator')
        if evaluator not in seen:
            seen.append(evaluator)
            yield from _problems_of_evaluator(cfg, split, read)
    yield from find_depth_model_problems(cfg.get('model'), SPLITS)
    yield from find_matting_model_problems(cfg, SPLITS)
    classes = list(find_class_problems(cfg, SPLITS, read))
    yield from classes
    if not has_errors([*all_names, *classes]):  # it takes right ones
        yield from find_ignored_problems(cfg, SPLITS[:2])


def _described(coco: CocoDataset | None) -> CocoDataset | None:
    return coco if coco is not None and coco.is_described else None


def _problems_of_split(cfg: Config, split: str, read: CocoReader) -> Iterator[ReportLine]:
    for name, dataset in datasets_of(cfg, split):
        yield from _problems_of_dataset(dataset, name, read)
    yield from _problems_of_evaluator(cfg, split, read)


def _problems_of_dataset(dataset: dict, name: str, read: CocoReader) -> Iterator[ReportLine]:
    yield from find_metainfo_problems(dataset, name, read)
    coco = coco_dataset(dataset, name, read)
    files = list(_missing_files(dataset, name, coco))
    yield from files
    if not has_errors(files):
        yield from _wrong_content(dataset, name, coco)


def _missing_files(dataset: dict, name: str, coco: CocoDataset | None) -> Iterator[ReportLine]:
    yield from find_file_problems(dataset, name) if coco is None else coco.find_missing()
    yield from find_matting_file_problems(dataset, name)
    yield from find_loading_problems(dataset, name)
    yield from find_depth_loading_problems(dataset, name)


def _wrong_content(dataset: dict, name: str, coco: CocoDataset | None) -> Iterator[ReportLine]:
    if coco is not None:
        yield from coco.find_problems()
        return
    yield from find_label_problems(dataset, name)
    yield from find_depth_problems(dataset, name)
    yield from find_matting_problems(dataset, name)


def _problems_of_evaluator(cfg: Config, split: str, read: CocoReader) -> Iterator[ReportLine]:
    key = f'{split}_evaluator'
    yield from find_metric_setting_problems(cfg, split)
    yield from find_metric_problems(cfg, split)
    yield from find_depth_metric_problems(cfg, split)
    datasets = [coco_dataset(dataset, name, read) for name, dataset in datasets_of(cfg, split)]
    yield from find_coco_metric_problems(cfg.get(key), key, datasets, read)
