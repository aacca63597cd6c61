"""Depth maps as a pipeline reads them: what is wrong with one, or with all of a dataset."""

import copy
import math
from collections import Counter, defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from .dataset_config import is_known_step
from .depth_pipelines import loads_depth
from .loading import format_size
from .report import ReportLine

#: Height and width of the images that the Eigen crop is for.
_EIGEN_SIZE = (480, 640)
#: So many depth maps that are all wrong in one way are no accident.
_MANY_MAPS = 8
#: Below the first share of the largest depth, all depths are in another unit; below the second,
#: they may be.
_WRONG_UNIT, _OTHER_UNIT = 0.05, 0.2
_UNITS = {'metres': 1, 'centimetres': 1e-2, 'millimetres': 1e-3}
#: So few steps up to the largest depth are none to learn from, or coarse.
_FEW_STEPS, _COARSE_STEPS = 50, 1000
#: A share of pixels that may be outliers.
_SMALL = 0.01
#: What may be odd about a depth map.
_EMPTY = 'have no measured pixel, or one; 0 stands for none'
_NOT_FINITE = (
    'have pixels that are NaN or infinite, write 0 there: SigLoss and MonocularDepthMetric leave '
    'them out, others may not'
)


def read_depth(step: Any, info: dict) -> tuple[np.ndarray, np.ndarray] | None:
    """Read a depth map as a pipeline does.

    Args:
        step (BaseTransform): The step that loads it.
        info (dict): The dataset's description of the image.

    Returns:
        tuple[np.ndarray, np.ndarray]: The depths as they are stored, if mmseg's own step loads
        them, and as the step passes them on, both (H, W) if they are right. None if it loads none.
    """
    try:
        depth = step({**info, 'seg_fields': []}).get('gt_depth_map')
    except AttributeError as error:  # OpenCV gives None for what it does not know
        raise OSError('it is damaged, or of an unknown format') from error
    if depth is None or not type(step).__module__.startswith('mmseg.'):
        return None if depth is None else (depth, depth)
    step = copy.copy(step)
    step.to_float32, step.depth_rescale_factor = False, 1
    return step({**info, 'seg_fields': []})['gt_depth_map'], depth


@dataclass(frozen=True)
class DepthRange:
    """What a model and a metric expect of depth maps.

    Attributes:
        key (str): The key of the largest depth; '' if it is not known.
        highest (float): That depth in metres.
        eigen_crop (str): The key of a metric's Eigen crop; '' for none.
    """

    key: str = ''
    highest: float = math.inf
    eigen_crop: str = ''


class DepthCounts:
    """The depths in a sample of a dataset's depth maps.

    Args:
        config (dict): The config of the dataset.
        expected (DepthRange, optional): What model and metric expect.
    """

    def __init__(self, config: dict, expected: DepthRange | None) -> None:
        steps = config.get('pipeline') or []
        loading = next((step for step in steps if loads_depth(step)), {})
        self._factor = loading.get('depth_rescale_factor', 1)
        self._expected = expected or DepthRange()
        # Others may change whatever is odd here.
        self._is_sure = all(map(is_known_step, steps))
        self._odd: list[str] = []
        #: Depth maps by the type of their numbers, and by what is odd with them.
        self._types: dict[str, list[str]] = defaultdict(list)
        self._alike: dict[str, list[str]] = defaultdict(list)
        #: Depth maps that stay below the first share of the largest depth.
        self._low: list[str] = []
        self._pixels: Counter = Counter()
        self._lowest, self._highest = math.inf, 0.0

    def add(self, path: str, stored: np.ndarray, depth: np.ndarray, mode: str) -> Iterator[str]:
        """Count the depths of a map, and find what is wrong with it.

        Args:
            path (str): The file.
            stored (np.ndarray): The depths in the file.
            depth (np.ndarray): The depths as the pipeline passes them on.
            mode (str): Pillow's mode of the file, such as 'I;16' or 'RGB'; '' if unknown.

        Yields:
            str: A problem.
        """
        eigen, problem = self._expected.eigen_crop, ''
        if depth.ndim != 2:
            what = f'(mode {mode}) is read with' if mode else 'has'
            problem = f'{path} {what} the shape {depth.shape}, a depth map has (height, width)'
            problem += '; is it a picture?' * (depth.shape[-1] in (3, 4))
        elif eigen and depth.shape != _EIGEN_SIZE:
            sizes = [format_size(size[::-1]) for size in (depth.shape, _EIGEN_SIZE)]
            problem = f'{path} is {sizes[0]}, {eigen} is for {sizes[1]} alone (width x height)'
        if problem and self._is_sure:
            yield problem
        elif problem:
            self._odd.append(problem)
        if depth.ndim == 2:
            self._count(path, stored, depth)

    def _count(self, path: str, stored: np.ndarray, depth: np.ndarray) -> None:
        self._types[str(stored.dtype)].append(path)
        finite = np.isfinite(depth)
        if not finite.all():
            self._alike[_NOT_FINITE].append(path)
        measured = depth[finite & (depth > 0)]
        self._pixels['all'] += depth.size
        if measured.size < 2:
            self._alike[_EMPTY].append(path)
            return
        self._pixels['measured'] += measured.size
        self._lowest = min(self._lowest, float(measured.min()))
        self._highest = max(self._highest, float(measured.max()))
        if measured.max() < _WRONG_UNIT * self._expected.highest:
            self._low.append(path)
        for share in (1, _WRONG_UNIT, _OTHER_UNIT):
            above = np.count_nonzero(measured > share * self._expected.highest)
            self._pixels[share] += int(above)
        if stored.dtype.kind in 'iu':
            self._pixels['full'] += int(np.count_nonzero(stored == np.iinfo(stored.dtype).max))

    @property
    def description(self) -> str:
        """The range of the depths, and how much is measured; '' without depth maps."""
        if not self._types:
            return ''
        share = self._pixels['measured'] / max(1, self._pixels['all'])
        return f'depth {self._range}, {share:.0%} of the pixels are measured'

    @property
    def _range(self) -> str:
        ends = min(self._lowest, self._highest), self._highest
        return ' to '.join(f'{end:.3g}' if end < 1000 else f'{end:,.0f}' for end in ends) + ' m'

    def summarize(self, name: str, is_complete: bool) -> Iterator[ReportLine]:
        """Tell what is odd in all depth maps together.

        Args:
            name (str): The key of the dataset's config.
            is_complete (bool): Whether all depth maps of the dataset were opened.

        Yields:
            ReportLine: An error if there is nothing to learn, or a note.
        """
        number = sum(map(len, self._types.values()))
        where = f'the {number:,} depth maps opened'
        for text in self._odd[:1]:
            yield ReportLine('note', f'{name}: {text}; a step of your own may correct it')
        for kind, text in self._differences(where, is_complete or number >= _MANY_MAPS):
            yield ReportLine(kind if self._is_sure else 'note', f'{name}: {text}')

    def _differences(self, where: str, is_many: bool) -> Iterator[tuple[str, str]]:
        """Yield 'error' or 'note', and a text, for everything odd."""
        number = sum(map(len, self._types.values()))
        for text, paths in self._alike.items():
            is_wrong = len(paths) == number and is_many and text != _NOT_FINITE
            some = f'{len(paths):,} of ' * (len(paths) < number) + where
            yield 'error' if is_wrong else 'note', f'{some} {text} (such as {paths[0]})'
        if len(self._types) > 1:
            types = ', '.join(
                f'{len(paths):,} {kind} (such as {paths[0]})' for kind, paths in self._types.items()
            )
            text = f'{where} have numbers of different types, for one depth_rescale_factor: {types}'
            yield 'error', text
        measured = self._pixels['measured']
        if not measured or math.isinf(self._expected.highest):
            return
        shares = {share: self._pixels[share] / measured for share in (1, _WRONG_UNIT, _OTHER_UNIT)}
        key, limit = self._expected.key, self._expected.highest
        if 0 < len(self._low) < number:
            text = f'{len(self._low):,} of {where} have no depth above {_WRONG_UNIT * limit:g} m'
            yield 'note', f'{text} (such as {self._low[0]}); are they in another unit?'
        if shares[1] > _SMALL:
            text = f'{shares[1]:.0%} of the depths in {where} are above {key}, {limit:g}'
            yield 'error' if shares[1] > 0.5 else 'note', text + self._hint()
        elif shares[_OTHER_UNIT] < _SMALL:
            text = f'the depths in {where} are far below {key}, {limit:g}'
            yield 'error' if shares[_WRONG_UNIT] < _SMALL else 'note', text + self._hint()
        elif all(kind.startswith(('int', 'uint')) for kind in self._types):
            steps = limit / self._factor
            text = f'{where} are in steps of {self._factor:.3g} m, {steps:.0f} up to {key}'
            if steps < _COARSE_STEPS:
                yield 'error' if steps < _FEW_STEPS else 'note', f'{text}; save 16 bits, in mm'

    def _hint(self) -> str:
        """Tell the depths that do not suit the model, and what may be meant."""
        text = f': they are {self._range}'
        limit, stored = self._expected.highest, self._highest / self._factor
        is_whole = all(kind.startswith(('int', 'uint')) for kind in self._types)
        text += f' with depth_rescale_factor={self._factor:g}'
        if is_whole and self._pixels['full'] > _SMALL * self._pixels['measured']:
            return f'{text}, and many are {stored:.0f}; write 0 where nothing was measured'
        if 'uint8' in self._types:
            return f'{text}; the files have 8 bits, save 16 in millimetres'
        for unit, factor in _UNITS.items():
            if factor != self._factor and _OTHER_UNIT * limit < factor * stored <= 1.2 * limit:
                if is_whole and limit / factor < _FEW_STEPS:
                    return f'{text}; if they are in {unit}, save them in millimetres'
                return f'{text}; if they are in {unit}, set it to {factor:g}'
        return text
