"""Panoptic quality as a metric of mmengine."""

import io
import os
import re
from collections import Counter
from collections.abc import Hashable, Sequence
from functools import cached_property

import numpy as np
from mmengine.logging import print_log
from mmengine.registry import METRICS
from rich.console import Console
from rich.table import Table

from ..utils.coco_panoptic import (
    PanopticTruth,
    Segments,
    describe_segments,
    write_annotations,
    write_id_map,
)
from ..utils.text import first_of, printable
from .panoptic_quality import average_quality, count_matches, panoptic_quality
from .threaded_metric import ThreadedMetric

_KINDS = ('PQ', 'SQ', 'RQ')


@METRICS.register_module()
class PanopticMetric(ThreadedMetric):
    """Panoptic quality (PQ), segmentation quality (SQ) and recognition quality (RQ), Table 7.

    Follows COCO's rules and takes mmdet's arguments, without ``panopticapi``. In percent, averaged
    over the classes that occur: all, things (``_th``) and stuff (``_st``); 0 if none occurs.
    Images are evaluated in threads while the model runs. A distributed run gives exactly the
    metrics of a single process. Labels are numbered as mmdet's datasets and metrics do it: in the
    order of the file's categories, whatever the order of the dataset's classes.

    Args:
        ann_file (str): The truth, a JSON file in COCO's panoptic format.
        seg_prefix (str, optional): Folder of its PNG files. Required unless ``format_only``.
        classwise (bool): Whether to also report each class. Defaults to False.
        format_only (bool): Whether to write the predictions without evaluating them.
            Defaults to False.
        outfile_prefix (str, optional): Where to write predictions in COCO's panoptic format:
            ``{outfile_prefix}.panoptic.json`` and the folder ``{outfile_prefix}.panoptic``, which
            all processes must share. The PNG files are named like the images, with the folders of
            their names, and their ids where two would be alike. Defaults to None, to write nothing.
        num_workers (int): Threads that evaluate images. Defaults to 2.
        collect_device (str): See ``BaseMetric``. Defaults to 'cpu'.
        prefix (str, optional): Prefix of the metrics' names. Defaults to 'coco_panoptic'.

    Raises:
        FileNotFoundError: If ann_file or seg_prefix is missing.
        ValueError: If ann_file is damaged, an argument is missing, a class of the dataset is not
            in it or there twice, or an image's annotation or PNG file is missing, damaged or does
            not fit.
    """

    default_prefix = 'coco_panoptic'

    def __init__(
        self,
        ann_file: str,
        seg_prefix: str | None = None,
        classwise: bool = False,
        format_only: bool = False,
        outfile_prefix: str | None = None,
        num_workers: int = 2,
        collect_device: str = 'cpu',
        prefix: str | None = None,
    ):
        super().__init__(num_workers, collect_device, prefix)
        if format_only and outfile_prefix is None:
            raise ValueError('PanopticMetric: format_only needs outfile_prefix, got None')
        if not format_only and seg_prefix is None:
            raise ValueError('PanopticMetric: seg_prefix is the folder of PNG files, got None')
        self.classwise = classwise
        self.format_only = format_only
        self.outfile_prefix = outfile_prefix
        self._truth = PanopticTruth(ann_file, None if format_only else seg_prefix)

    def prepare(self, sample: dict) -> tuple:
        """Get the arguments of the evaluation from a data sample.

        Args:
            sample (dict): With ``img_id``, ``img_path`` and ``pred_panoptic_seg.sem_seg``,
                label + instance * 1000 of each pixel, (1, H, W).

        Returns:
            tuple: Arguments of ``evaluate_image``.
        """
        panoptic = sample['pred_panoptic_seg']
        void = {len(self._classes), panoptic.get('ignore_index', len(self._classes))}
        values = panoptic['sem_seg'][0].cpu().numpy()
        return sample['img_id'], sample['img_path'], values, void

    def compute_metrics(self, results: list[tuple[np.ndarray | None, dict | None]]) -> dict:
        """Compute the metrics of all images.

        Args:
            results (list[tuple]): Counts and written annotation of each image.

        Returns:
            dict: PQ, SQ and RQ, for all, things and stuff, and with ``classwise`` for each class
            (``{class}_PQ`` and so on), in percent.
        """
        if self.outfile_prefix is not None:
            path = f'{self.outfile_prefix}.panoptic.json'
            write_annotations(path, [entry for _, entry in results], self._all_categories)
            print_log(f'Panoptic predictions are written to {path}', logger='current')
        if self.format_only:
            return {}

        counts = sum((count for count, _ in results), np.zeros((len(self._classes), 4)))
        things = np.array([category['isthing'] for category in self._categories], bool)
        metrics, rows = {}, []

        def report(name, quality, number, before='', after=''):
            rows.append((name, *(f'{value:.2f}' for value in quality), number))
            for kind, value in zip(_KINDS, quality, strict=True):
                metrics[f'{before}{kind}{after}'] = float(value)

        report('All', *average_quality(counts))
        report('Things', *average_quality(counts, things), after='_th')
        report('Stuff', *average_quality(counts, ~things), after='_st')
        if self.classwise:
            for category, quality in zip(self._categories, panoptic_quality(counts), strict=True):
                report(category['name'], quality, '', before=f'{category["name"]}_')
        print_log(f'Panoptic quality:\n{_format_table(rows)}', logger='current')
        return metrics

    @property
    def _classes(self) -> Sequence[str]:
        return self.dataset_meta['classes']

    @property
    def _all_categories(self) -> list[dict]:
        """The categories of the file. Where it does not say what are things, the dataset may."""
        categories = self._truth.categories
        unknown = [one['name'] for one in categories if one['isthing'] is None]
        if unknown and not self.format_only and 'thing_classes' not in self.dataset_meta:
            raise ValueError(
                f'ann_file does not say whether {first_of(unknown)} are things: it has no isthing, '
                'and the dataset no metainfo.thing_classes'
            )
        things = self.dataset_meta.get('thing_classes', ())
        return [
            {**one, 'isthing': int(one['name'] in things if thing is None else thing)}
            for one in categories
            for thing in [one['isthing']]
        ]

    @cached_property
    def _outputs(self) -> dict[Hashable, str]:
        """The PNG name of each image's prediction: that of the image, or with its id."""
        names = {key: _png_name(name) for key, name in self._truth.image_names.items()}
        counts = Counter(names.values())
        for key, name in names.items():
            if counts[name] > 1:
                names[key] = f'{name[:-4]}_{re.sub("[^0-9A-Za-z]", "-", str(key))}.png'
        return names

    @property
    def _categories(self) -> list[dict]:
        """Category of each label, in the order in which mmdet's datasets number them."""
        chosen = [one for one in self._all_categories if one['name'] in self._classes]
        names = [category['name'] for category in chosen]
        if missing := [name for name in self._classes if name not in names]:
            others = ', '.join(category['name'] for category in self._truth.categories)
            raise ValueError(
                f'ann_file has no category {", ".join(missing)}, which the dataset has; it has '
                f'{others}'
            )
        if len(names) > len(self._classes):
            twice = next(name for name in names if names.count(name) > 1)
            ids = ', '.join(str(one['id']) for one in chosen if one['name'] == twice)
            raise ValueError(f'ann_file has two categories named {twice}, with the ids {ids}')
        return chosen

    def evaluate_image(
        self, image_id: int, image_path: str, values: np.ndarray, void: set[int]
    ) -> tuple[np.ndarray | None, dict | None]:
        """Count the matches in one image, and write its prediction if configured.

        Args:
            image_id (int): The image.
            image_path (str): Its file.
            values (np.ndarray): (H, W), label + instance * 1000.
            void (set[int]): Labels of pixels that belong to no segment.

        Returns:
            tuple[np.ndarray | None, dict | None]: Counts, and annotation of the written prediction.

        Raises:
            FileNotFoundError: If the truth is missing.
            ValueError: If the truth and the prediction do not fit each other.
        """
        category_ids = [category['id'] for category in self._categories]
        prediction = Segments.from_panoptic_map(values, void)
        if prediction.labels.max(initial=0) >= len(category_ids):
            raise ValueError(
                f'the model predicts label {prediction.labels.max()}, the dataset '
                f'has the classes 0..{len(category_ids) - 1}'
            )
        annotation = counts = None
        if self.outfile_prefix is not None:
            file_name = self._outputs.get(image_id) or _png_name(os.path.basename(image_path))
            path = os.path.join(f'{self.outfile_prefix}.panoptic', file_name)
            write_id_map(path, prediction.id_map)
            annotation = {
                'image_id': image_id,
                'file_name': file_name,
                'segments_info': describe_segments(prediction, category_ids),
            }
        if not self.format_only:
            labels = {number: label for label, number in enumerate(category_ids)}
            truth = self._truth.read(image_id, labels)
            counts = count_matches(truth, prediction, len(category_ids))
        return counts, annotation


def _png_name(image: str) -> str:
    """The name of a PNG file with the folders of an image, unless they lead elsewhere."""
    stem, _ = os.path.splitext(os.path.normpath(image))
    if os.path.isabs(stem) or stem.startswith('..'):
        stem = os.path.basename(stem)
    return f'{stem}.png'


def _format_table(rows: list[tuple]) -> str:
    table = Table('', *_KINDS, 'classes')
    for row in rows:
        table.add_row(*(printable(str(cell)) for cell in row))
    # A name may look like markup of rich.
    console = Console(file=io.StringIO(), width=80, markup=False)
    console.print(table)
    return console.file.getvalue()
