"""Monocular depth estimation, mmseg's."""

import os
from collections.abc import Callable, Sequence
from typing import Any

import cv2
import numpy as np
import torch
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from mmengine.structures import PixelData

from ...engine.depth_colors import DEPTH_COLORS, color_depth, depth_limits
from ...utils.configs import type_name
from ...utils.text import one_line
from ..comparisons import (
    GREY,
    LIGHT,
    DifferenceMap,
    ErrorMap,
    add_bar,
    case_map,
    model_colour,
)
from ..label_maps import to_numpy
from .task import Task, check_size, thinning

# Errors that differ by less, as a share of the true depth, are called equal.
_TOLERANCE = 0.01


class DepthEstimation(Task):
    """Depth maps in colour, all of one image on one scale in metres."""

    drawn = 'depth maps'
    fields = ('depth_map',)
    truth_key = 'depth_map_path'
    borders = 'metre contours'

    def truth_steps(self, pipeline: Sequence[dict]) -> list[dict]:
        """Keeps the step that reads depth, which knows the unit of the files."""
        return [step for step in pipeline if 'DepthAnnotation' in type_name(step.get('type'))]

    def read_truth(
        self, info: dict, size: tuple[int, int], num_classes: int, load: Callable[[], dict]
    ) -> Any:
        """Reads a depth map by the dataset's pipeline, into a SegDataSample with ``gt_depth_map``.

        Args:
            info (dict): ``depth_map_path``, the file.
            size (tuple[int, int]): Height and width of the image.
            num_classes (int): Unused.
            load (Callable): Runs the pipeline.

        Returns:
            SegDataSample: The ground truth, in metres; 0 where nothing was measured.

        Raises:
            FileNotFoundError: If the file is missing.
            ValueError: If it cannot be read as a depth map, or has another size than the image.
        """
        from mmseg.structures import SegDataSample

        path = info['depth_map_path']
        if not os.path.isfile(path):
            raise FileNotFoundError(f'annotation: {path} is not a file')
        try:
            loaded = load()
        # What OpenCV cannot read is None, which has no attributes.
        except (OSError, ValueError, TypeError, AttributeError, EOFError, cv2.error) as error:
            raise ValueError(f'{path} cannot be read as a depth map: {one_line(error)}') from error
        if 'data_samples' in loaded:  # of a whole pipeline
            loaded = {key: one.data[0].numpy() for key, one in loaded['data_samples'].items()}
        depth = loaded.get('gt_depth_map')
        if depth is None:
            raise ValueError(
                f'{path}: the pipeline of val_dataloader has no LoadDepthAnnotation, whose '
                'depth_rescale_factor turns values into metres'
            )
        if depth.ndim != 2:
            raise ValueError(f'{path} is no depth map: it has {depth.shape[2]} channels')
        check_size(path, depth.shape, size)
        truth = SegDataSample(metainfo=dict(ori_shape=size))
        truth.gt_depth_map = PixelData(data=torch.from_numpy(depth)[None])
        return truth

    def regions(self, prediction: Any, meta: dict) -> np.ndarray:
        """Whole metres; -1 where there is no depth."""
        depth = _depth(prediction, 'pred')
        return np.floor(np.where(_is_known(depth), depth, -1)).astype(np.int64)

    def position(self, prediction: Any, regions: np.ndarray) -> tuple[int, int]:
        """Finds the pixel, in the middle half of rows and columns, where depth changes most."""
        depth = _depth(prediction, 'pred')
        logs = np.log(np.where(_is_known(depth), depth, np.nan))
        steps = np.zeros(depth.shape)
        steps[:, :-1] = np.abs(np.diff(logs, axis=1))
        steps[:-1] = np.fmax(steps[:-1], np.abs(np.diff(logs, axis=0)))
        top, left = (side // 4 for side in depth.shape)
        middle = np.nan_to_num(steps)[top : len(depth) - top, left : depth.shape[1] - left]
        row, column = np.unravel_index(middle.argmax(), middle.shape)
        return int(row) + top, int(column) + left

    def draw(
        self, pixels: np.ndarray, truth: Any | None, predictions: dict[str, Any], meta: dict
    ) -> tuple[np.ndarray | None, list[np.ndarray]]:
        """Colours each, all on one scale; grey where there is no depth."""
        depths, step = _depths(truth, predictions), thinning(pixels)
        limits = depth_limits(*depths)
        drawn = [color_depth(depth[step, step], *limits) for depth in depths]
        return (None, drawn) if truth is None else (drawn[0], drawn[1:])

    def compare(
        self, truth: Any | None, predictions: dict[str, Any], meta: dict
    ) -> DifferenceMap | ErrorMap | None:
        """Says who is nearest to the truth; of one model its error.

        Without a truth, it is the difference of the largest and the smallest prediction.
        """
        depths = np.stack([_depth(sample, 'pred') for sample in predictions.values()])
        if truth is None:
            if len(depths) < 2:
                return None
            return ErrorMap(np.ptp(depths, axis=0), 'how far they differ')
        true = _depth(truth, 'gt')
        known = _is_known(true)
        errors = np.abs(depths - true)
        if len(depths) == 1:
            return ErrorMap(np.where(known, errors[0], np.nan), 'its error')
        first, second = np.sort(errors, axis=0)[:2]
        nearest = errors.argmin(0)
        cases = [
            (~known, 'no measurement', GREY),
            (second - first <= _TOLERANCE * true, 'about equal', LIGHT),
            *(
                (nearest == index, f'{name} is nearest', model_colour(index))
                for index, name in enumerate(predictions)
            ),
        ]
        return case_map(cases, true.shape, 'who is nearest to the truth')

    def add_color_bar(
        self, figure: Figure, axis: Axes, truth: Any | None, predictions: dict[str, Any]
    ) -> None:
        """Adds the scale of the depth maps."""
        add_bar(figure, axis, *depth_limits(*_depths(truth, predictions)), DEPTH_COLORS)


def _depth(sample: Any, prefix: str) -> np.ndarray:
    """A depth map (H, W) in metres."""
    return to_numpy(sample.get(f'{prefix}_depth_map').data)[0].astype(np.float64)


def _depths(truth: Any | None, predictions: dict[str, Any]) -> list[np.ndarray]:
    """The true depth map, if there is one, and the predicted ones."""
    depths = [_depth(prediction, 'pred') for prediction in predictions.values()]
    return depths if truth is None else [_depth(truth, 'gt'), *depths]


def _is_known(depth: np.ndarray) -> np.ndarray:
    """Where a depth map has depth: not at 0, which stands for no measurement, and below."""
    return np.isfinite(depth) & (depth > 0)
