"""Depth estimators of mmseg, from images to metres."""

from typing import Any

import numpy as np
from torch import Tensor, nn

from .exported_model import Difference, ExportedModel, check_mode

#: Largest difference of a depth: in metres, plus as a share of the depth.
MAX_METRES, MAX_SHARE = 1e-4, 1e-3


class DepthEstimator(ExportedModel):
    """A depth estimator that returns metres (1, 1, H, W), in the range of its head.

    Args:
        model (nn.Module): mmseg's ``DepthEstimator``; with ``test_cfg.mode='whole_flip'`` the map
            is, as in testing, the mean of the image's and its mirror's.

    Raises:
        ValueError: If its ``test_cfg.mode`` cannot be exported.
    """

    task = 'depth'
    output = 'depth'
    columns = ('largest difference', 'as a share of the depth', 'depth')
    tolerance = f'a depth may differ by {1e3 * MAX_METRES:g} mm plus {100 * MAX_SHARE:g} %'

    def __init__(self, model: nn.Module):
        super().__init__(model)
        self.mode = check_mode(model, 'whole', 'whole_flip')
        head = model.decode_head
        self.range = [getattr(head, 'min_depth', 0.0), getattr(head, 'max_depth', None)]

    def forward(self, image: Tensor) -> Tensor:
        """See ``ExportedModel``."""
        size = image.shape[2:]
        depth = self.model.inference(image, [dict(img_shape=size, ori_shape=size)])
        return depth.clamp(*self.range)

    def metadata(self, meta: dict) -> dict[str, Any]:
        """See ``ExportedModel``: unit, smallest and largest depth (may be None), and test mode."""
        return dict(unit='m', range=self.range, mode=self.mode)

    def compare(self, found: np.ndarray, expected: np.ndarray) -> Difference:
        """See ``ExportedModel``."""
        difference = np.abs(found - expected)
        share = (difference / np.maximum(expected, 1e-6)).max()
        return Difference(
            cells=(
                f'{1e3 * difference.max():.1e} mm',
                f'{share:.1e}',
                f'{expected.min():.2f} to {expected.max():.2f} m',
            ),
            is_close=bool((difference <= MAX_METRES + MAX_SHARE * expected).all()),
        )
