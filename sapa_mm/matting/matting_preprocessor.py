"""Batches of images and trimaps as a matting model takes them."""

from collections.abc import Sequence
from typing import Any

import torch
from mmengine.model import ImgDataPreprocessor
from mmengine.registry import MODELS

from .trimap import UNKNOWN, is_unknown


@MODELS.register_module()
class MattingDataPreprocessor(ImgDataPreprocessor):
    """Normalise images and join the trimap as a fourth channel.

    The trimap is divided by 255; every value of it other than 0 and 255 counts as 128. Images are
    not padded: those of a batch must have one size, and the model pads what it needs.

    Args:
        mean (Sequence[float]): Of the three colours, in the order after ``bgr_to_rgb``. Defaults to
            that of ImageNet.
        std (Sequence[float]): Likewise.
        bgr_to_rgb (bool): Whether to turn BGR, as mmcv loads images, to RGB. Defaults to True.
        **kwargs: Other arguments of mmengine's ``ImgDataPreprocessor``, but no padding.

    Raises:
        ValueError: If padding is asked for.
    """

    def __init__(
        self,
        mean: Sequence[float] = (123.675, 116.28, 103.53),
        std: Sequence[float] = (58.395, 57.12, 57.375),
        bgr_to_rgb: bool = True,
        **kwargs,
    ):
        for option in ('pad_size_divisor', 'pad_value'):
            if option in kwargs:
                raise ValueError(
                    f'{type(self).__name__}: {option} is not taken; the model pads by reflection'
                )
        super().__init__(mean=mean, std=std, bgr_to_rgb=bgr_to_rgb, **kwargs)

    def forward(self, data: dict[str, Any], training: bool = False) -> dict[str, Any]:
        """Make a batch.

        Args:
            data (dict): ``inputs``, images (3, H, W) in 0..255, and ``data_samples``, with
                ``trimap``.
            training (bool): Whether it is for training; there is no difference. Defaults to False.

        Returns:
            dict: ``inputs``, float32 (N, 4, H, W), and ``data_samples``.

        Raises:
            ValueError: If an image has no trimap, one of another size, or another size than the
                others of the batch.
        """
        images, samples = data['inputs'], data.get('data_samples')
        name = type(self).__name__
        if not samples or any('trimap' not in sample for sample in samples):
            raise ValueError(f'{name}: every image needs a data sample with a trimap')
        size = tuple(images[0].shape[-2:])
        for image, sample in zip(images, samples, strict=True):
            place = f', in {sample.get("img_path")}' if sample.get('img_path') else ''
            if tuple(image.shape[-2:]) != size:
                raise ValueError(
                    f'{name}: the images of a batch must have one size, got {size} and '
                    f'{tuple(image.shape[-2:])}{place}; batch_size=1 takes all sizes'
                )
            if tuple(sample.trimap.data.shape) != (1, *size):
                raise ValueError(
                    f'{name}: trimap must have the shape {(1, *size)}, that of its image, got '
                    f'{tuple(sample.trimap.data.shape)}{place}'
                )
        data = super().forward(data, training)
        trimap = torch.stack([sample.trimap.data for sample in data['data_samples']])
        trimap = trimap.masked_fill(is_unknown(trimap), UNKNOWN)
        data['inputs'] = torch.cat([data['inputs'], trimap.float() / 255], 1)
        return data
