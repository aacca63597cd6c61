"""Label maps: what a config says of them, and what the labels in a sample of them are."""

import copy
import inspect
import warnings
from collections import Counter
from collections.abc import Collection, Iterator, Sequence
from typing import Any

import mmcv
import numpy as np
from mmcv.transforms import LoadAnnotations
from mmengine import fileio
from mmengine.registry import TRANSFORMS

from ...utils.coco_panoptic import IGNORE_INDEX
from ...utils.configs import type_name
from ...utils.text import first_of
from .dataset_config import DatasetConfig, find_class, find_dataset, read_metainfo
from .report import ReportLine

#: The most classes whose labels fit beside the ignored one, 255, into the 8 bits that are kept.
_MOST_CLASSES = 255
#: Labels with all bits set, which some write for "none".
_ALL_BITS = (-1, 2**16 - 1, 2**32 - 1)
#: So many label maps without a single class are no accident.
_MANY_MAPS = 20
_STRIP_PIXELS = 2**20


def find_label_problems(dataset: dict, name: str) -> Iterator[ReportLine]:
    """Find what is wrong with reading the label maps of a dataset, from its config alone.

    Args:
        dataset (dict): The config of a dataset that is no wrapper of others.
        name (str): The key of this config.

    Yields:
        ReportLine: Errors and notes.
    """
    if find_dataset(dataset.get('type')) is None:
        return
    config = DatasetConfig(dataset, name)
    reduces = bool(config.setting('reduce_zero_label'))
    try:
        classes = read_metainfo(dataset).get('classes')
    except (OSError, ValueError):
        classes = None  # find_metainfo_problems tells why
    count = len(classes) if isinstance(classes, (list, tuple)) else 0
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
        if count > most:
            text = f'{count} classes, at most {most} are possible: {type_name(step["type"])} keeps '
            text += f'8 bits of a label, and {IGNORE_INDEX} is ignored'
            yield ReportLine('error', f'{name}: {text}')
    suffix = config.setting('seg_map_suffix')
    if config.loads_annotations() and str(suffix).lower().endswith(('.jpg', '.jpeg')):
        text = 'JPEG changes labels; save label maps as PNG'
        yield ReportLine('note', f'{name}.seg_map_suffix is {suffix}: {text}')


def _label_loader(step: dict) -> str | None:
    """Get the module of the method by which a step reads labels as 8 bits, if it does."""
    kind = find_class(TRANSFORMS, step.get('type'))
    for base in inspect.getmro(kind or object):
        if '_load_masks_and_semantic_segs' in vars(base):  # panoptic maps
            return base.__module__ if step.get('with_seg', True) else None
        if '_load_seg_map' in vars(base):
            return base.__module__ if base.__module__.startswith('mmseg.') else None
    return None


def read_labels(step: Any, info: dict) -> tuple[np.ndarray, np.ndarray] | None:
    """Read a label map as a pipeline does.

    Args:
        step (BaseTransform): The step that loads it.
        info (dict): The dataset's description of the image.

    Returns:
        tuple[np.ndarray, np.ndarray]: The labels as they are stored, and as the step passes them
        on, both (H, W), or (H, W, C) for a map of several channels. None if it loads none.
    """
    step = copy.copy(step)
    for part in ('with_bbox', 'with_label', 'with_mask'):
        if hasattr(step, part):
            setattr(step, part, False)
    if type(step).__module__.startswith('mmseg.'):
        step.reduce_zero_label = None  # the dataset's, which it must equal
    with warnings.catch_warnings():
        warnings.simplefilter('ignore')
        stored = loaded = step({**info}).get('gt_seg_map')
        if loaded is None:
            return None
        if isinstance(step, LoadAnnotations):
            content = fileio.get(info['seg_map_path'], backend_args=step.backend_args)
            stored = mmcv.imfrombytes(content, 'unchanged', backend=step.imdecode_backend)
            stored = stored.squeeze()
    return stored if stored.shape == loaded.shape else loaded, loaded


class LabelCounts:
    """The labels in a sample of a dataset's label maps.

    Args:
        dataset (BaseDataset): The dataset.
        ignored (Collection[int]): Labels of pixels to ignore, as the pipeline passes them on; none
            for 255.
    """

    def __init__(self, dataset: Any, ignored: Collection[int]) -> None:
        meta = dataset.metainfo
        # Label maps beside the boxes of mmdet's datasets have classes of their own.
        self._classes: Sequence[str] = ()
        if 'reduce_zero_label' in meta:
            self._classes = meta.get('classes') or ()
        self._ignored = set(ignored) or {IGNORE_INDEX}
        self._reduces = bool(meta.get('reduce_zero_label'))
        # If a config selects some classes, the files still have the labels of all.
        named = dataset.METAINFO['classes'] if meta.get('label_map') else self._classes
        # With reduce_zero_label, 0 is "other" and the classes begin at 1.
        self._highest = len(named) - (not self._reduces)
        self._maps = 0
        self._bits = 0
        self._stored: Counter = Counter()
        self._loaded: Counter = Counter()

    def add(self, path: str, stored: np.ndarray, loaded: np.ndarray, mode: str) -> Iterator[str]:
        """Count the labels of a map, and find what is wrong with them.

        Args:
            path (str): The file.
            stored (np.ndarray): The labels in the file.
            loaded (np.ndarray): The labels as the pipeline passes them on.
            mode (str): Pillow's mode of the file, such as 'L' or 'RGB'.

        Yields:
            str: A problem.
        """
        if loaded.ndim != 2:
            text = f'(mode {mode}) is read with {loaded.shape[-1]} channels, a label map has one'
            hint = "; set imdecode_backend='pillow', which keeps a palette" if mode == 'P' else ''
            yield f'{path} {text}{hint}'
            return
        counts = _count_pairs(stored, loaded)
        self._maps += 1
        self._bits += mode == '1'
        for (label, read), pixels in counts.items():
            self._stored[label] += pixels
            self._loaded[read] += pixels
        has_8_bits = loaded.dtype == np.uint8
        wrong = [pair for pair in counts if not self._is_right(*pair, has_8_bits)]
        if not wrong:
            return
        label, _ = max(wrong)
        text = f'{path} has label {label}'
        if not float(label).is_integer():
            yield f'{text}, labels are whole numbers'
        elif has_8_bits and label != label % 256:
            yield f'{text}, which is read as {label % 256}: {self._allowed()}'
        else:
            yield f'{text}, {self._allowed()}{self._unlabelled(wrong)}'

    def _is_right(self, label: float, read: int, has_8_bits: bool) -> bool:
        if not float(label).is_integer():
            return False
        if self._classes and read not in self._ignored and not 0 <= read < len(self._classes):
            return False
        # 65535 and the like become 255.
        return not has_8_bits or 0 <= label < 256 or (read in self._ignored and label in _ALL_BITS)

    def _allowed(self) -> str:
        others = sorted(label for label in self._ignored if label > self._highest)
        return ' and '.join([f'allowed are 0 to {self._highest}', *map(str, others)])

    def _unlabelled(self, wrong: Sequence[tuple[float, int]]) -> str:
        """Some data sets number unlabelled pixels after their classes."""
        next_label, ignored = self._highest + 1, max(self._ignored)
        # Not where labels are reduced or left out: there, mmseg itself makes them 255.
        is_plain = next_label == len(self._classes) <= ignored
        if not is_plain or [label for label, _ in wrong] != [next_label]:
            return ''
        return f'; if it stands for unlabelled pixels, make it {ignored}, or set ignore_index'

    def summarize(self, name: str, is_complete: bool) -> Iterator[ReportLine]:
        """Tell which classes are missing in all label maps together.

        Args:
            name (str): The key of the dataset's config.
            is_complete (bool): Whether all label maps of the dataset were opened.

        Yields:
            ReportLine: An error if there is nothing to learn, or a note.
        """
        ignored = sum(self._loaded[label] for label in self._ignored)
        seen = [bool(self._loaded[label]) for label in range(len(self._classes))]
        learnt = sum(seen) - sum(seen[label] for label in self._ignored if label < len(seen))
        absent = [
            text
            for label, text in enumerate(self._classes)
            if not seen[label] and label not in self._ignored
        ]
        where = f'the {self._maps:,} label maps opened'
        share = ignored / max(1, sum(self._loaded.values()))
        if share == 1:
            text = f'all pixels of {where} are ignored'
            kind = 'error' if is_complete or self._maps >= _MANY_MAPS else 'note'
            yield ReportLine(kind, f'{name}: {text}{self._reason()}')
        elif learnt and absent and (learnt == 1 or name.startswith('train')):
            some = first_of(absent)
            if len(absent) > 3:
                some = f'{len(absent)} of the {len(self._classes)} classes ({some})'
            text = f'no pixel of {some} in {where}'
            is_wrong = False
            if learnt == 1 and ignored:
                text += f', {share:.0%} of whose pixels are ignored{self._reason()}'
                is_wrong = is_complete and name.startswith('train')
            yield ReportLine('error' if is_wrong else 'note', f'{name}: {text}')

    def _reason(self) -> str:
        labels = sorted(self._stored)
        reason = f': their labels are {first_of(labels, 5)}'
        if self._reduces and 0 in labels:
            reason += '; reduce_zero_label ignores 0'
        if labels == [0, IGNORE_INDEX] and IGNORE_INDEX in self._ignored:
            advice = 'write 1 for the second class'
            if self._bits == self._maps:
                advice = "set imdecode_backend='pillow', which reads bits as 0 and 1"
            elif self._reduces:
                advice += ' and set reduce_zero_label=False'
            reason += f'; {IGNORE_INDEX} is ignored, {advice}'
        return reason


def _count_pairs(stored: np.ndarray, loaded: np.ndarray) -> Counter:
    """Count the pixels of each label that is stored and what is read of it, in strips of rows."""
    counts: Counter = Counter()
    rows = max(1, _STRIP_PIXELS // max(1, stored.shape[1]))
    for top in range(0, len(stored), rows):
        strip, read = stored[top : top + rows], loaded[top : top + rows]
        labels, first, pixels = np.unique(strip, return_index=True, return_counts=True)
        pairs = zip(labels.tolist(), read.ravel()[first].tolist(), strict=True)
        counts.update(dict(zip(pairs, pixels.tolist(), strict=True)))
    return counts
