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
from ..comparisons import add_bar
from ..label_maps import to_numpy
from .task import check_size, thinning
from .values import TaskWithValues, largest_step


class DepthEstimation(TaskWithValues):
    """Depth maps in colour, all of one image on one scale in metres."""

    drawn = 'depth maps'
    fields = ('depth_map',)
    truth_key = 'depth_map_path'
    borders = 'metre contours'
    unit = 'metres'
    not_scored = 'no measurement'

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

    def values(self, sample: Any, prefix: str) -> np.ndarray:
        """Depth in metres."""
        return to_numpy(sample.get(f'{prefix}_depth_map').data)[0].astype(np.float64)

    def scored(self, true: np.ndarray, predictions: dict[str, Any]) -> np.ndarray:
        """Where depth was measured."""
        return _is_known(true)

    def tolerance(self, true: np.ndarray) -> np.ndarray:
        """A hundredth of the true depth."""
        return 0.01 * true

    def regions(self, prediction: Any, meta: dict) -> np.ndarray:
        """Whole metres; -1 where there is no depth."""
        depth = self.values(prediction, 'pred')
        return np.floor(np.where(_is_known(depth), depth, -1)).astype(np.int64)

    def position(self, prediction: Any, regions: np.ndarray) -> tuple[int, int]:
        """Finds the pixel where depth changes most by share, see ``largest_step``."""
        depth = self.values(prediction, 'pred')
        return largest_step(np.log(np.where(_is_known(depth), depth, np.nan)))

    def draw(
        self, pixels: np.ndarray, truth: Any | None, predictions: dict[str, Any], meta: dict
    ) -> tuple[np.ndarray | None, list[np.ndarray]]:
        """Colours each, all on one scale; grey where there is no depth."""
        depths, step = self._depths(truth, predictions), thinning(pixels)
        limits = depth_limits(*depths)
        drawn = [color_depth(depth[step, step], *limits) for depth in depths]
        return (None, drawn) if truth is None else (drawn[0], drawn[1:])

    def add_color_bar(
        self, figure: Figure, axis: Axes, truth: Any | None, predictions: dict[str, Any]
    ) -> None:
        """Adds the scale of the depth maps."""
        limits = depth_limits(*self._depths(truth, predictions))
        add_bar(figure, axis, *limits, DEPTH_COLORS, self.unit)

    def _depths(self, truth: Any | None, predictions: dict[str, Any]) -> list[np.ndarray]:
        """The true depth map, if there is one, and the predicted ones."""
        depths = [self.values(prediction, 'pred') for prediction in predictions.values()]
        return depths if truth is None else [self.values(truth, 'gt'), *depths]


def _is_known(depth: np.ndarray) -> np.ndarray:
    """Where a depth map has depth: not at 0, which stands for no measurement, and below."""
    return np.isfinite(depth) & (depth > 0)
