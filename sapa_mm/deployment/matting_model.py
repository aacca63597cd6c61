"""Matting models, from images and trimaps to alpha."""

from typing import Any

import numpy as np
import torch
from torch import Tensor

from ..matting.trimap import BACKGROUND, FOREGROUND, UNKNOWN, is_unknown
from .exported_model import Difference, ExportedModel

#: Largest difference of an alpha; mattes of 8 bits have steps of 4e-3.
MAX_DIFFERENCE = 1e-3


class MattingModel(ExportedModel):
    """A matting model that returns alpha (1, 1, H, W) in [0, 1].

    ``trimap`` is uint8 (1, 1, H, W), 0 for the background, 255 for the foreground and anything else
    where it is unknown; where it is known, alpha is 0 or 1. Images are not cut into tiles.

    Args:
        model (nn.Module): An ``A2UMatting``.
    """

    task = 'matting'
    inputs = ('image', 'trimap')
    output = 'alpha'
    columns = ('largest difference', 'mean alpha', 'between 0 and 1')
    tolerance = f'an alpha may differ by {MAX_DIFFERENCE:g}'

    @property
    def channels(self) -> int:
        """See ``ExportedModel``: colours alone."""
        return 3

    def example(self, height: int, width: int) -> tuple[Tensor, ...]:
        """See ``ExportedModel``."""
        trimap = torch.full((1, 1, height, width), UNKNOWN, dtype=torch.uint8)
        return (*super().example(height, width), trimap)

    def prepare(self, batch: dict) -> tuple[np.ndarray, ...]:
        """See ``ExportedModel``."""
        (sample,) = batch['data_samples']
        return batch['inputs'][0, : self.channels].numpy(), sample.trimap.data.numpy()

    def forward(self, image: Tensor, trimap: Tensor) -> Tensor:
        """See ``ExportedModel``."""
        trimap = trimap.float()
        unknown = is_unknown(trimap)
        share = torch.where(unknown, float(UNKNOWN), trimap) / 255
        alpha = self.model.predict_alpha(torch.cat([image, share], 1)).clamp(0, 1)
        return torch.where(unknown, alpha, (trimap == FOREGROUND).to(alpha.dtype))

    def metadata(self, meta: dict) -> dict[str, Any]:
        """See ``ExportedModel``: the two values of a trimap that are known."""
        return dict(trimap=[BACKGROUND, FOREGROUND])

    def compare(self, found: np.ndarray, expected: np.ndarray) -> Difference:
        """See ``ExportedModel``."""
        difference = np.abs(found - expected).max()
        between = ((expected > 0) & (expected < 1)).mean()
        return Difference(
            cells=(f'{difference:.1e}', f'{expected.mean():.3f}', f'{100 * between:.1f} %'),
            is_close=bool(difference <= MAX_DIFFERENCE),
        )
