"""What is wrong with the COCO files of metrics, alone and beside those of the datasets."""

import os
from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Any

from ...utils.coco_file import CocoFile
from ...utils.configs import nested_configs, type_name
from ...utils.text import first_of
from .coco import COCO_TOPICS, CocoDataset, CocoReader, missing_files, problems
from .report import ReportLine

COCO_METRICS = ('CocoMetric', 'PanopticMetric', 'CocoPanopticMetric')


def find_coco_metric_problems(
    evaluator: Any, name: str, datasets: Sequence['CocoDataset | None'], read: CocoReader
) -> Iterator[ReportLine]:
    """Find problems with the files that an evaluator names.

    Args:
        evaluator (dict or list or Any): The config of a metric, of several, or of an evaluator.
        name (str): The key of this config.
        datasets (Sequence[CocoDataset or None]): The datasets whose predictions it gets.
        read (CocoReader): Reads annotations.

    Yields:
        ReportLine: An error for each file that is missing, damaged or does not fit the datasets.
    """
    known = [one for one in datasets if one is not None and one.is_readable]
    reported = {os.path.realpath(one.path) for one in datasets if one is not None}
    if len(known) < len(datasets) or has_metrics_of_parts(evaluator):
        known = []  # which images each metric gets cannot be told
    for key, metric in nested_configs(evaluator, name):
        if metric.get('backend_args'):
            continue
        for argument, exists in (('ann_file', os.path.isfile), ('seg_prefix', os.path.isdir)):
            path = metric.get(argument)
            if not isinstance(path, str):
                continue
            if not exists(path):
                text = f'{key}.{argument}: {path} does not exist; point at the data with '
                text += f'`data_root` FOLDER, or at this with `cfg_options` {key}.{argument}=PATH'
                yield ReportLine('error', text)
            elif argument == 'ann_file':
                try:
                    file = read(path)
                except ValueError as error:
                    yield ReportLine('error', f'{key}.{error}')
                else:
                    is_reported = os.path.realpath(path) in reported
                    yield from _Metric(key, metric, file).find_problems(known, is_reported)


def has_metrics_of_parts(evaluator: Any) -> bool:
    """Tell whether an evaluator is mmdet's with a metric for each part of a ConcatDataset."""
    parts = nested_configs(evaluator, '')
    return any(type_name(part.get('type')) == 'MultiDatasetsEvaluator' for _, part in parts)


class _Metric:
    """A metric that reads a COCO file.

    Args:
        key (str): Its key in the config.
        config (dict): Its config.
        file (CocoFile): The file.
    """

    def __init__(self, key: str, config: dict, file: CocoFile) -> None:
        self._key, self._config, self._file = key, config, file
        self._kind = type_name(config.get('type'))
        self._place, self._path = f'{key}.ann_file', config['ann_file']

    def find_problems(self, datasets: list[CocoDataset], is_reported: bool) -> Iterator[ReportLine]:
        """Find what is wrong with its file, alone and beside those of the datasets.

        Args:
            datasets (list[CocoDataset]): The datasets whose predictions it gets.
            is_reported (bool): Whether one of them, which reads the same file, reports what is
                wrong for both.

        Yields:
            ReportLine: The errors.
        """
        if self._kind not in COCO_METRICS:
            return
        topics = self._topics()
        own = [topic for topic in topics if not is_reported or topic not in COCO_TOPICS]
        yield from problems(self._file, own, self._place, self._path)
        if any(self._file.problems[topic] for topic in topics):
            return
        if not self._config.get('format_only'):
            # A test set may have nothing in it; a validation that measures nothing chooses nothing.
            is_test = self._key.startswith('test') and self._kind == 'CocoMetric'
            text = '; what cannot be measured is -1, format_only=True writes the predictions alone'
            for line in problems(self._file, ['empty'], self._place, self._path):
                yield ReportLine('note', line.text + text) if is_test else line
            if self._file.problems['empty'] and not is_test:
                return
        needs_segments = self._kind != 'CocoMetric'
        if len(self._file.image) and self._file.is_panoptic != needs_segments:
            kinds = ('instances', 'panoptic segments')
            text = f'has {kinds[not needs_segments]}, must have {kinds[needs_segments]}'
            yield ReportLine('error', f'{self._place}: {self._path} {text}')
            return
        for dataset in datasets:
            yield from self._compare(dataset)
        if self._kind == 'CocoMetric' and not self._config.get('format_only'):
            yield from self._find_others(datasets)

    def _topics(self) -> list[str]:
        topics = ['content', 'categories']
        if self._kind != 'PanopticMetric':
            topics += ['mark', 'images']
        if not self._config.get('format_only'):
            topics += ['no list', 'annotations']
            if self._kind == 'CocoPanopticMetric':
                topics.append('types')
            elif self._kind == 'CocoMetric':
                topics += ['boxes', 'evaluation']
                if 'segm' in (self._config.get('metric') or ''):
                    topics += ['masks', 'short polygons']
        return topics

    def _compare(self, dataset: CocoDataset) -> Iterator[ReportLine]:
        file, other = self._file, dataset.file
        if file is other and self._kind == 'CocoMetric':
            return
        given = dataset.kept()
        images = {key: other.names[i] for key, i in other.images.items() if given[i]}
        place = f'{dataset.name}.ann_file ({dataset.path})'
        own = f'{self._place}: {self._path}'
        if file.images:
            missing = [key for key in images if key not in file.images]
            if missing:
                text = f'{own} has {len(images) - len(missing):,} of the {len(images):,} images of '
                text += f'{place}; it lacks {images[missing[0]]} (id {missing[0]})'
                yield ReportLine('error', text)
                return
            for key, name in images.items():
                there = file.names[file.images[key]]
                if not _same_image(name, there):
                    text = f'{own} numbers the images otherwise than {place}: id {key} is {there}, '
                    yield ReportLine('error', f'{text}there {name}')
                    return
        if self._kind != 'CocoMetric' and not self._config.get('format_only'):
            yield from self._find_maps(images)
        if self._kind == 'CocoPanopticMetric':
            bases = Counter(os.path.basename(name) for name in images.values())
            base, count = bases.most_common(1)[0] if bases else ('', 0)
            if count > 1:
                text = f'{self._key}: CocoPanopticMetric writes {count} images to one file, {base}'
                yield ReportLine('error', f'{text}; use PanopticMetric, which keeps folders apart')

    def _find_maps(self, images: dict) -> Iterator[ReportLine]:
        entries = self._file.entries
        without = [f'{name} (id {key})' for key, name in images.items() if key not in entries]
        if without:
            text = f'{self._path} has no annotation of {len(without):,} of {len(images):,} images'
            yield ReportLine('error', f'{self._place}: {text}: {first_of(without)}')
        folder = self._config.get('seg_prefix')
        if isinstance(folder, str) and os.path.isdir(folder):
            names = [self._file.map_names[entries[key]] for key in images if key in entries]
            for text in missing_files(names, folder):
                yield ReportLine('error', f'{self._key}.seg_prefix: {text}')

    def _find_others(self, datasets: list[CocoDataset]) -> Iterator[ReportLine]:
        """Find images that no dataset gives: pycocotools counts all of them as missed."""
        given = {
            key
            for dataset in datasets
            for key, kept in zip(dataset.file.images, dataset.kept(), strict=True)
            if kept
        }
        others = [key for key in self._file.images if key not in given]
        if datasets and others:
            images, names = self._file.images, self._file.names
            text = f'{self._path} has {len(others):,} of {len(images):,} images that the dataset '
            text += (
                f'does not give, such as {names[images[others[0]]]} (id {others[0]}); they would '
            )
            yield ReportLine('error', f'{self._place}: {text}count as missed')


def _same_image(one: str, other: str) -> bool:
    """Whether two names are of one image; one may have more folders, or another ending."""
    if one == other:
        return True
    parts = [os.path.splitext(os.path.normpath(name))[0].split('/')[::-1] for name in (one, other)]
    return all(a == b for a, b in zip(*parts, strict=False))
