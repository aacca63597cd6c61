"""The metrics of monocular depth, Table 9, as a metric of mmseg."""

import math
import os
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from mmseg.evaluation import DepthMetric
from mmseg.registry import METRICS
from torch import Tensor

from ..utils.files import write_image
from ..utils.log import log_info

_NAME = 'MonocularDepthMetric'
_NYU_SIZE = (480, 640)
_LARGEST = 2**16 - 1


@METRICS.register_module()
class MonocularDepthMetric(DepthMetric):
    r"""mmseg's ``DepthMetric`` as Table 9 computes it: in float64, per image, then the mean.

    Over the pixels of an image whose true depth z is within the range, with the prediction ẑ
    clamped to it and d = ln ẑ - ln z: ``d1``, ``d2`` and ``d3``, the shares with
    max(z / ẑ, ẑ / z) below 1.25, 1.25² and 1.25³; ``abs_rel``, mean \|ẑ - z\| / z; ``sq_rel``,
    mean (ẑ - z)² / z; ``rmse``, √mean (ẑ - z)²; ``rmse_log``, √mean d²; ``log10``,
    mean \|log10 ẑ - log10 z\|; and mmseg's ``silog``, √(mean d² - (mean d)² / 2). Images without
    such a pixel are left out. Numbers are kept of each image, not pixels, and a distributed run
    gives the metrics of a single process.

    Args:
        depth_metrics (Sequence[str], optional): The metrics to report. Defaults to None, for all.
        min_depth_eval (float): The true depth is over this, in metres; positive.
            Defaults to 1e-3.
        max_depth_eval (float): The true depth is below this, in metres. Defaults to 10.
        crop_type (str, optional): 'nyu_crop' for the Eigen crop: rows 45 to 470 and columns 41 to
            600 of images of 480×640 pixels. Defaults to None, for whole images.
        depth_scale_factor (float): What a metre is in the files of ``output_dir``. Defaults to
            1000, for millimetres.
        collect_device (str): See ``BaseMetric``. Defaults to 'cpu'.
        output_dir (str, optional): Folder for the clamped predictions as 16-bit PNG files, named
            like the images without their folders. Defaults to None.
        format_only (bool): Whether to write the predictions without evaluating them.
            Defaults to False.
        prefix (str, optional): Prefix of the metrics' names. Defaults to None.

    Raises:
        ValueError: If an argument is out of range; if an image has no depth map, or one of another
            size than the prediction; if a prediction is NaN or infinite; or if no image has a pixel
            in the range.
    """

    def __init__(
        self,
        depth_metrics: Sequence[str] | None = None,
        min_depth_eval: float = 1e-3,
        max_depth_eval: float = 10.0,
        crop_type: str | None = None,
        depth_scale_factor: float = 1000.0,
        collect_device: str = 'cpu',
        output_dir: str | None = None,
        format_only: bool = False,
        prefix: str | None = None,
    ):
        names = self.METRICS if depth_metrics is None else depth_metrics
        if isinstance(names, str) or not names or not set(names) <= set(self.METRICS):
            raise ValueError(
                f'{_NAME}: depth_metrics must be a list of {", ".join(self.METRICS)}, got {names!r}'
            )
        if not 0 < min_depth_eval < max_depth_eval:
            raise ValueError(
                f'{_NAME}: 0 < min_depth_eval < max_depth_eval must hold, got {min_depth_eval} and '
                f'{max_depth_eval}'
            )
        if crop_type not in (None, 'nyu_crop'):
            raise ValueError(f"{_NAME}: crop_type must be None or 'nyu_crop', got {crop_type!r}")
        if format_only and output_dir is None:
            raise ValueError(f'{_NAME}: format_only needs output_dir, got None')
        if output_dir is not None and not 0 < max_depth_eval * depth_scale_factor <= _LARGEST:
            raise ValueError(
                f'{_NAME}: max_depth_eval * depth_scale_factor must be positive and at most '
                f'{_LARGEST}, the largest number in a file of output_dir, got '
                f'{max_depth_eval * depth_scale_factor}'
            )
        super().__init__(
            min_depth_eval=min_depth_eval,
            max_depth_eval=max_depth_eval,
            crop_type=crop_type,
            depth_scale_factor=depth_scale_factor,
            collect_device=collect_device,
            output_dir=output_dir,
            format_only=format_only,
            prefix=prefix,
        )
        self.metrics = tuple(names)

    def process(self, data_batch: Any, data_samples: Sequence[dict]) -> None:
        """Evaluate the images of a batch, and write their predictions if configured.

        Args:
            data_batch (Any): Unused.
            data_samples (Sequence[dict]): With ``pred_depth_map.data`` and ``gt_depth_map.data``,
                metres (1, H, W), and ``img_path``.

        Raises:
            ValueError: See the class.
        """
        for sample in data_samples:
            try:
                self._process_image(sample)
            except ValueError as error:
                image = sample.get('img_path', 'without a path')
                raise ValueError(f'{_NAME}: image {image}: {error}') from error

    def _process_image(self, sample: dict) -> None:
        prediction = sample['pred_depth_map']['data'].detach().cpu().double()
        if not prediction.isfinite().all():
            raise ValueError('the predicted depth is NaN or infinite; has the training diverged?')
        prediction = prediction.clamp(self.min_depth_eval, self.max_depth_eval)
        if not self.format_only:
            self.results.append(self._evaluate_image(prediction, sample))
        if self.output_dir is not None:
            stem = os.path.splitext(os.path.basename(sample['img_path']))[0]
            values = (prediction.squeeze(0) * self.depth_scale_factor).round().numpy()
            write_image(os.path.join(self.output_dir, f'{stem}.png'), values.astype(np.uint16))

    def _evaluate_image(self, prediction: Tensor, sample: dict) -> dict[str, float]:
        """The metrics of an image; none if it has no pixel in the range."""
        if 'gt_depth_map' not in sample:
            raise ValueError(
                'it has no depth map: its pipeline has no LoadDepthAnnotation; leave this metric '
                'out of test_evaluator'
            )
        truth = sample['gt_depth_map']['data'].cpu()
        if prediction.shape != truth.shape:
            raise ValueError(
                f'the prediction is {tuple(prediction.shape)}, the truth {tuple(truth.shape)}'
            )
        if self.crop_type == 'nyu_crop' and truth.shape[-2:] != _NYU_SIZE:
            height, width = truth.shape[-2:]
            raise ValueError(
                f"crop_type: 'nyu_crop' needs images of 480 rows and 640 columns, got {height} and "
                f'{width}'
            )
        # In the truth's own precision: a millimetre is not over 1e-3.
        valid = self._get_eval_mask(truth.squeeze(0))[None]
        return self._calc_all_metrics(truth[valid].double(), prediction[valid])

    @staticmethod
    def _calc_all_metrics(gt_depth: Tensor, pred_depth: Tensor) -> dict[str, float]:
        if not len(gt_depth):
            # Not None, which mmengine drops before it counts the images of all processes.
            return {}
        ratio = torch.maximum(gt_depth / pred_depth, pred_depth / gt_depth)
        error, log_error = pred_depth - gt_depth, pred_depth.log() - gt_depth.log()
        means = {
            'd1': ratio < 1.25,
            'd2': ratio < 1.25**2,
            'd3': ratio < 1.25**3,
            'abs_rel': error.abs() / gt_depth,
            'sq_rel': error.square() / gt_depth,
            'rmse': error.square(),
            'rmse_log': log_error.square(),
            'log10': log_error.abs() / math.log(10),
        }
        values = {name: pixels.double().mean().item() for name, pixels in means.items()}
        values['silog'] = values['rmse_log'] - log_error.mean().item() ** 2 / 2
        return values | {name: math.sqrt(values[name]) for name in ('rmse', 'rmse_log', 'silog')}

    def compute_metrics(self, results: list[dict[str, float]]) -> dict[str, float]:
        """Average the metrics of all images.

        Args:
            results (list[dict]): Those of each image, empty without a pixel in the range.

        Returns:
            dict: The mean of each metric over the images with a pixel in the range; with
            ``format_only``, none.

        Raises:
            ValueError: If no image has one.
        """
        if self.format_only:
            log_info(f'Predicted depth maps are written to {self.output_dir}')
            return {}
        images = [values for values in results if values]
        if not images:
            raise ValueError(
                f'{_NAME}: none of the {len(results)} images has a pixel of true depth between '
                f'{self.min_depth_eval} and {self.max_depth_eval} metres; is depth_rescale_factor '
                'of LoadDepthAnnotation right?'
            )
        if skipped := len(results) - len(images):
            log_info(f'{skipped} of {len(results)} images have no pixel in the range of depth')
        return {name: float(np.mean([one[name] for one in images])) for name in self.metrics}
