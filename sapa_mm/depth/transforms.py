"""Transforms that train depth estimators on NYU Depth V2."""

from typing import Any

import numpy as np
from mmcv.transforms import BaseTransform
from mmseg.registry import TRANSFORMS


@TRANSFORMS.register_module()
class FixedCrop(BaseTransform):
    """Cut the same rows and columns out of all images, with their maps.

    The frames of NYU Depth V2 have a white border, and no depth near it. The defaults leave
    427 × 565 of their 480 × 640 pixels, as DepthFormer is trained.

    Args:
        rows (tuple[int, int]): First row, and the one after the last. Defaults to (45, 472).
        columns (tuple[int, int]): First column, and the one after the last. Defaults to (43, 608).
        img_shape (tuple[int, int]): Height and width that all images must have. Defaults to
            (480, 640).

    Raises:
        ValueError: If the rows or columns are not inside the image.
    """

    def __init__(
        self,
        rows: tuple[int, int] = (45, 472),
        columns: tuple[int, int] = (43, 608),
        img_shape: tuple[int, int] = (480, 640),
    ):
        for name, (first, end), side in zip(
            ('rows', 'columns'), (rows, columns), img_shape, strict=True
        ):
            if not 0 <= first < end <= side:
                raise ValueError(
                    f'FixedCrop: {name} must be a first and an end with 0 <= first < end <= {side},'
                    f' got {(first, end)}'
                )
        self.rows = tuple(rows)
        self.columns = tuple(columns)
        self.img_shape = tuple(img_shape)

    def transform(self, results: dict[str, Any]) -> dict[str, Any]:
        """Cut ``img`` and the maps in ``seg_fields``, and set ``img_shape``.

        Args:
            results (dict): What the pipeline has loaded.

        Returns:
            dict: ``results``.

        Raises:
            ValueError: If the image or a map has another size.
        """
        keys = ['img', *results.get('seg_fields', [])]
        for key in keys:
            if results[key].shape[:2] != self.img_shape:
                raise ValueError(
                    f'FixedCrop: {key} must be {self.img_shape} (height, width), got '
                    f'{results[key].shape[:2]} in {results.get("img_path")}'
                )
            results[key] = results[key][slice(*self.rows), slice(*self.columns)]
        results['img_shape'] = results['img'].shape[:2]
        return results

    def __repr__(self) -> str:
        return (
            f'{type(self).__name__}(rows={self.rows}, columns={self.columns}, '
            f'img_shape={self.img_shape})'
        )


@TRANSFORMS.register_module()
class ColorAug(BaseTransform):
    """Random gamma, brightness and colour, as the Monocular-Depth-Estimation-Toolbox has them.

    A value v of 0–255 becomes v^gamma × brightness × colour, clipped, with one colour a channel.
    The power is taken on this scale, unlike AdaBins', so that gamma changes the brightness, too:
    255 becomes 146 to 443.

    Args:
        prob (float): Probability that an image is changed. Defaults to 0.5.
        gamma_range (tuple[float, float]): Defaults to (0.9, 1.1).
        brightness_range (tuple[float, float]): Defaults to (0.9, 1.1).
        color_range (tuple[float, float]): Defaults to (0.9, 1.1).

    Raises:
        ValueError: If prob is not in 0..1, or a range not 0 < low <= high.
    """

    def __init__(
        self,
        prob: float = 0.5,
        gamma_range: tuple[float, float] = (0.9, 1.1),
        brightness_range: tuple[float, float] = (0.9, 1.1),
        color_range: tuple[float, float] = (0.9, 1.1),
    ):
        if not 0 <= prob <= 1:
            raise ValueError(f'ColorAug: prob must be in 0..1, got {prob}')
        for name, (low, high) in dict(
            gamma_range=gamma_range, brightness_range=brightness_range, color_range=color_range
        ).items():
            if not 0 < low <= high:
                raise ValueError(f'ColorAug: {name} must have 0 < low <= high, got {(low, high)}')
        self.prob = prob
        self.gamma_range = tuple(gamma_range)
        self.brightness_range = tuple(brightness_range)
        self.color_range = tuple(color_range)

    def transform(self, results: dict[str, Any]) -> dict[str, Any]:
        """Change ``img``, which becomes float32 then.

        Args:
            results (dict): What the pipeline has loaded.

        Returns:
            dict: ``results``.
        """
        draw = np.random.uniform  # what mmengine seeds
        if draw() < self.prob:
            gamma = draw(*self.gamma_range)
            brightness = draw(*self.brightness_range)
            colors = draw(*self.color_range, size=3)
            image = results['img'].astype(np.float32) ** gamma * (brightness * colors)
            results['img'] = image.clip(0, 255).astype(np.float32)
        return results

    def __repr__(self) -> str:
        return (
            f'{type(self).__name__}(prob={self.prob}, gamma_range={self.gamma_range}, '
            f'brightness_range={self.brightness_range}, color_range={self.color_range})'
        )
