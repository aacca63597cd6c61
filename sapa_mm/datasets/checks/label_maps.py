"""Label maps: what a config says of them, and what the labels in a sample of them are."""

import inspect
from collections.abc import Iterator

from ...utils.coco_panoptic import IGNORE_INDEX
from ...utils.configs import type_name
from .files import _Files, find_dataset, find_transform
from .report import ReportLine

#: The most classes whose labels fit beside the ignored one, 255, into the 8 bits that are kept.
_MOST_CLASSES = 255
_STRIP_PIXELS = 2**20


def find_label_problems(dataset: dict, name: str) -> Iterator[ReportLine]:
    """Find what is wrong with reading the label maps of a dataset, from its config alone.

    Args:
        dataset (dict): The config of a dataset that is no wrapper of others.
        name (str): The key of this config.

    Yields:
        ReportLine: Errors and notes.
    """
    kind = find_dataset(dataset.get('type'))
    if kind is None:
        return
    files = _Files(dataset, name)
    reduces = bool(files.setting('reduce_zero_label'))
    own = (dataset.get('metainfo') or {}).get('classes')
    classes = own or getattr(kind, 'METAINFO', {}).get('classes') or ()
    for index, step in enumerate(dataset.get('pipeline') or []):
        loader = _label_loader(step)
        if loader is None:
            continue
        step_reduces = step.get('reduce_zero_label')
        if loader.startswith('mmseg') and step_reduces not in (None, reduces):
            text = f'{name}.pipeline.{index}.reduce_zero_label is {step_reduces}'
            text = f'{name}.reduce_zero_label is {reduces}, {text}; set it in the dataset alone'
            yield ReportLine('error', text)
        # Where labels are reduced by one, the label 255 of a file is ignored.
        most = _MOST_CLASSES - reduces
        if not isinstance(classes, str) and len(classes) > most:
            text = (
                f'{type_name(step["type"])} keeps 8 bits of a label, and {IGNORE_INDEX} is ignored'
            )
            text = f'{len(classes)} classes, at most {most} are possible: {text}'
            yield ReportLine('error', f'{name}: {text}')
    suffix = files.setting('seg_map_suffix')
    if files.loads_annotations() and str(suffix).lower().endswith(('.jpg', '.jpeg')):
        text = 'JPEG changes labels; save label maps as PNG'
        yield ReportLine('note', f'{name}.seg_map_suffix is {suffix}: {text}')


def _label_loader(step: dict) -> str | None:
    """Get the module of the method by which a step reads labels as 8 bits, if it does."""
    kind = find_transform(step.get('type'))
    for base in inspect.getmro(kind or object):
        if '_load_masks_and_semantic_segs' in vars(base):  # panoptic maps
            return base.__module__ if step.get('with_seg', True) else None
        if '_load_seg_map' in vars(base):
            return base.__module__ if base.__module__.startswith('mmseg.') else None
    return None
