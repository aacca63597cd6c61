"""Segmentors of mmseg, from images to logits."""

import math
from collections.abc import Iterable
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from .exported_model import MAX_DIFFERENT_PIXELS, Difference, ExportedModel, check_mode

#: Largest difference of a logit, as a share of the image's largest logit.
MAX_DIFFERENCE = 1e-3


class Segmentor(ExportedModel):
    """A segmentor that returns logits (1, num_classes, H, W).

    A model of a single channel (``out_channels=1``) gets a logit of 0 for its first class, and
    that of the second is shifted so that it is larger where mmseg finds its threshold exceeded.

    Args:
        model (nn.Module): mmseg's ``EncoderDecoder``.

    Raises:
        ValueError: If its ``test_cfg.mode`` or threshold cannot be exported.
    """

    task = 'segmentation'
    output = 'logits'
    columns = ('largest difference of logits', 'largest logit', 'pixels of another class')
    tolerance = (
        f'a logit may differ by {100 * MAX_DIFFERENCE:g} % of the largest one, and '
        f'{100 * MAX_DIFFERENT_PIXELS:g} % of all pixels may be of another class'
    )

    def __init__(self, model: nn.Module):
        super().__init__(model)
        check_mode(model, 'whole')
        if model.out_channels == 1 and not 0 < model.decode_head.threshold < 1:
            raise ValueError(
                'model.decode_head.threshold must be between 0 and 1 to export out_channels=1, got '
                f'{model.decode_head.threshold}'
            )

    def forward(self, image: Tensor) -> Tensor:
        """See ``ExportedModel``."""
        logits = self.model.encode_decode(image, [dict(img_shape=image.shape[2:])])
        if self.model.out_channels > 1:
            return logits
        threshold = self.model.decode_head.threshold
        return torch.cat([torch.zeros_like(logits), logits - logit(threshold)], 1)

    def metadata(self, meta: dict) -> dict[str, Any]:
        """See ``ExportedModel``: names and colours, RGB, of the classes; may be empty."""
        return dict(
            classes=list(meta.get('classes') or []),
            palette=[list(map(int, color)) for color in meta.get('palette') or []],
        )

    def compare(self, found: np.ndarray, expected: np.ndarray) -> Difference:
        """See ``ExportedModel``."""
        # One class after the other: of large images, copies of all take gigabytes.
        difference = _largest(a - b for a, b in zip(found[0], expected[0], strict=True))
        largest = _largest(expected[0])
        pixels = float((found.argmax(1) != expected.argmax(1)).mean())
        return Difference(
            cells=(f'{difference:.1e}', f'{largest:.1f}', f'{100 * pixels:.4f} %'),
            is_close=difference <= MAX_DIFFERENCE * largest,
            different_pixels=pixels,
        )


def logit(probability: float) -> float:
    """The inverse of the sigmoid."""
    return math.log(probability / (1 - probability))


def _largest(maps: Iterable[np.ndarray]) -> float:
    """The largest absolute value, NaN if one is NaN."""
    return float(np.max([np.abs(values).max() for values in maps]))
