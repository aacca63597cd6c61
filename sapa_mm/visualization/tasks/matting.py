"""Image matting, this package's own."""

import os
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from mmengine.structures import PixelData

from ...matting import MattingSample
from ...matting.matting_files import read_gray
from ...matting.trimap import is_unknown
from ..label_maps import to_numpy
from .task import check_size, thinning
from .values import TaskWithValues, largest_step


class Matting(TaskWithValues):
    """Alpha mattes in grey, compared where the trimap is unknown."""

    drawn = 'alpha mattes'
    fields = ('alpha',)
    truth_key = 'alpha_path'
    borders = 'alpha 0.5'
    unit = 'alpha'
    not_scored = 'known'

    def read_truth(
        self, info: dict, size: tuple[int, int], num_classes: int, load: Callable[[], dict]
    ) -> MattingSample:
        """Reads an alpha matte into a MattingSample with ``gt_alpha``.

        Args:
            info (dict): ``alpha_path``, the file.
            size (tuple[int, int]): Height and width of the image.
            num_classes (int): Unused.
            load (Callable): Unused.

        Returns:
            MattingSample: The ground truth.

        Raises:
            FileNotFoundError: If the file is missing.
            ValueError: If it is no alpha matte, or has another size than the image.
        """
        path = info['alpha_path']
        if not os.path.isfile(path):
            raise FileNotFoundError(f'annotation: {path} is not a file')
        alpha = read_gray(path)
        check_size(path, alpha.shape, size)
        truth = MattingSample(metainfo=dict(ori_shape=size))
        truth.gt_alpha = PixelData(data=torch.from_numpy(alpha / np.float32(255))[None])
        return truth

    def values(self, sample: MattingSample, prefix: str) -> np.ndarray:
        """Alpha, 0 to 1."""
        return to_numpy(sample.get(f'{prefix}_alpha').data)[0].astype(np.float64)

    def scored(self, true: np.ndarray, predictions: dict[str, Any]) -> np.ndarray:
        """The trimap's unknown pixels."""
        return is_unknown(_trimap(next(iter(predictions.values()))))

    def tolerance(self, true: np.ndarray) -> float:
        """A hundredth."""
        return 0.01

    def regions(self, prediction: Any, meta: dict) -> np.ndarray:
        """1 where alpha is a half or more."""
        return (self.values(prediction, 'pred') >= 0.5).astype(np.int64)

    def position(self, prediction: Any, regions: np.ndarray) -> tuple[int, int]:
        """Finds the unknown pixel where alpha changes most, see ``largest_step``."""
        unknown = is_unknown(_trimap(prediction))
        return largest_step(np.where(unknown, self.values(prediction, 'pred'), np.nan))

    def inputs(self, pixels: np.ndarray, prediction: Any) -> list[tuple[str, np.ndarray]]:
        """The trimap."""
        return [('trimap', _grey(_trimap(prediction), thinning(pixels)))]

    def draw(
        self, pixels: np.ndarray, truth: Any | None, predictions: dict[str, Any], meta: dict
    ) -> tuple[np.ndarray | None, list[np.ndarray]]:
        """Draws each from black, 0, to white, 1."""
        step = thinning(pixels)

        def draw_one(sample, prefix):
            return _grey(np.rint(self.values(sample, prefix) * 255), step)

        drawn = [draw_one(prediction, 'pred') for prediction in predictions.values()]
        return None if truth is None else draw_one(truth, 'gt'), drawn


def _trimap(prediction: MattingSample) -> np.ndarray:
    """The trimap of a prediction, uint8 (H, W): 0, 128 or 255."""
    return to_numpy(prediction.trimap.data)[0]


def _grey(values: np.ndarray, step: slice) -> np.ndarray:
    """Values of 0 to 255 (H, W) as a picture."""
    return values[step, step, None].astype(np.uint8).repeat(3, 2)
