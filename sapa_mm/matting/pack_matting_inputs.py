"""Samples as matting models take them."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from mmengine.registry import TRANSFORMS
from mmengine.structures import PixelData

from .matting_sample import MattingSample
from .matting_transform import MattingTransform


@TRANSFORMS.register_module()
class PackMattingInputs(MattingTransform):
    """Pack an image and what is known of it.

    ``inputs`` is the image (3, H, W) in 0..255, uint8 or float32. The ``MattingSample`` has, each
    as a ``PixelData``:

    - ``trimap``: uint8 (1, H, W);
    - ``gt_alpha``: float32 (1, H, W) in [0, 1], if there is an ``alpha``;
    - ``gt_fg``, ``gt_bg`` and ``gt_merged``: float32 (3, H, W) in [0, 1] with the channels of the
      image, if there is a ``fg``.

    Args:
        meta_keys (Sequence[str]): What becomes metainfo, where it is there. Defaults to
            ('img_path', 'trimap_path', 'alpha_path', 'bg_path', 'ori_shape', 'img_shape').
    """

    needs = ('img', 'trimap')

    def __init__(
        self,
        meta_keys: Sequence[str] = (
            'img_path',
            'trimap_path',
            'alpha_path',
            'bg_path',
            'ori_shape',
            'img_shape',
        ),
    ):
        self.meta_keys = tuple(meta_keys)

    def transform(self, results: dict[str, Any]) -> dict[str, Any]:
        """Pack.

        Args:
            results (dict): Has ``img`` and ``trimap``, and may have ``alpha``, or ``alpha``,
                ``fg`` and ``bg``, all in 0..255.

        Returns:
            dict: ``inputs`` and ``data_samples``.
        """
        sample = MattingSample(
            metainfo={key: results[key] for key in self.meta_keys if key in results}
        )
        sample.trimap = PixelData(data=_tensor(results['trimap']))
        if 'alpha' in results:
            sample.gt_alpha = PixelData(data=_share(results['alpha']))
        if 'fg' in results:
            for field, key in (('gt_fg', 'fg'), ('gt_bg', 'bg'), ('gt_merged', 'img')):
                sample.set_field(PixelData(data=_share(results[key])), field)
        return dict(inputs=_tensor(results['img']), data_samples=sample)

    def __repr__(self) -> str:
        return f'{type(self).__name__}(meta_keys={self.meta_keys})'


def _tensor(layer: np.ndarray) -> torch.Tensor:
    """(H, W) or (H, W, C) as (C, H, W)."""
    return torch.from_numpy(np.ascontiguousarray(np.atleast_3d(layer).transpose(2, 0, 1)))


def _share(layer: np.ndarray) -> torch.Tensor:
    """0..255 as [0, 1]."""
    return _tensor(layer.astype(np.float32)) / 255
