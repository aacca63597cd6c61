"""The metrics of image matting, Table 8, as a metric of mmengine."""

import csv
import io

import numpy as np
from mmengine.registry import METRICS

from ..utils.files import check_writable, write_whole
from ..utils.log import log_info
from .matting_errors import ERRORS, PROTOCOLS, matting_errors
from .threaded_metric import ThreadedMetric

_PARTS = {
    'pred_alpha': 'the model predicts none',
    'gt_alpha': 'its dataset or pipeline loads none; leave this metric out of test_evaluator',
    'trimap': 'its pipeline loads none',
}


@METRICS.register_module()
class MattingMetric(ThreadedMetric):
    """SAD, MSE, Grad and Conn of mattes, over the unknown pixels of each image, then the mean.

    Lower is better. What they are is in ``matting_errors``. An image without unknown pixels counts
    with 0, and the log tells how many there are.

    Args:
        protocol (str): 'matlab' for the evaluation code of Composition-1k, on mattes of 8 bits;
            'a2u' for that in the training of A2U matting, on unrounded ones. Defaults to 'matlab'.
        csv_file (str, optional): Path of a table of each image's metrics. Defaults to None.
        num_workers (int): Threads that evaluate images. Defaults to 2.
        collect_device (str): See ``BaseMetric``. Defaults to 'cpu'.
        prefix (str, optional): Prefix of the metrics' names. Defaults to None.

    Raises:
        ValueError: If an argument is out of range; if an image has no true matte, no trimap, or
            one of another size than the prediction; or if a matte is NaN or not within [0, 1].
        OSError: If ``csv_file`` cannot be written.
    """

    def __init__(
        self,
        protocol: str = 'matlab',
        csv_file: str | None = None,
        num_workers: int = 2,
        collect_device: str = 'cpu',
        prefix: str | None = None,
    ):
        super().__init__(num_workers, collect_device, prefix)
        if protocol not in PROTOCOLS:
            raise ValueError(
                f'MattingMetric: protocol must be of {", ".join(PROTOCOLS)}, got {protocol!r}'
            )
        if csv_file is not None:
            check_writable(csv_file, 'csv_file')
        self.protocol = protocol
        self.csv_file = csv_file

    def prepare(self, sample: dict) -> tuple:
        """Take the maps of one image from a data sample.

        Args:
            sample (dict): With ``pred_alpha.data`` and ``gt_alpha.data``, float (1, H, W) in
                [0, 1], ``trimap.data``, integers (1, H, W), and ``img_path``.

        Returns:
            tuple: Arguments of ``evaluate_image``.

        Raises:
            ValueError: If one is missing.
        """
        path = sample.get('img_path', 'without a path')
        for part, reason in _PARTS.items():
            if part not in sample:
                raise ValueError(f'MattingMetric: image {path} has no {part}: {reason}')
        maps = [sample[part]['data'].detach().squeeze(0).cpu() for part in _PARTS]
        maps[0] = maps[0].float()  # NumPy has no bfloat16
        return path, *(data.numpy() for data in maps)

    def evaluate_image(
        self, path: str, prediction: np.ndarray, truth: np.ndarray, trimap: np.ndarray
    ) -> dict[str, str | int | float]:
        """Compute the metrics of one image.

        Args:
            path (str): The image.
            prediction (np.ndarray): See ``matting_errors``.
            truth (np.ndarray): See ``matting_errors``.
            trimap (np.ndarray): See ``matting_errors``.

        Returns:
            dict: ``image``, its number of ``unknown`` pixels, and the metrics.

        Raises:
            ValueError: See the class.
        """
        errors = matting_errors(prediction, truth, trimap, self.protocol)
        unknown = int(np.count_nonzero((trimap != 0) & (trimap != 255)))
        return {'image': path, 'unknown': unknown, **errors}

    def compute_metrics(self, results: list[dict]) -> dict[str, float]:
        """Average the metrics of all images, and write them as a table if configured.

        Args:
            results (list[dict]): Those of each image.

        Returns:
            dict: The mean of each metric.
        """
        known = sum(not image['unknown'] for image in results)
        if known:
            log_info(
                f'{known} of {len(results)} images have no unknown pixel in the trimap: their '
                'metrics are 0'
            )
        if self.csv_file is not None:
            table = io.StringIO()
            writer = csv.DictWriter(table, list(results[0]), lineterminator='\n')
            writer.writeheader()
            writer.writerows(results)
            write_whole(self.csv_file, table.getvalue())
            log_info(f'The metrics of each image are written to {self.csv_file}')
        return {name: float(np.mean([image[name] for image in results])) for name in ERRORS}
