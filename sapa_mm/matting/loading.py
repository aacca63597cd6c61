"""Transforms that load images, trimaps and alpha mattes, and the layers to compose images of."""

from typing import Any

import numpy as np
from mmengine.registry import TRANSFORMS

from .matting_files import describe_sizes, read_colors, read_gray, read_photograph
from .matting_transform import MattingTransform
from .trimap import clean_trimap


@TRANSFORMS.register_module()
class LoadMattingImage(MattingTransform):
    """Load an image from ``img_path``: ``img``, BGR, uint8 (H, W, 3), and its shapes.

    An image with transparent pixels is refused.
    """

    needs = ('img_path',)

    def transform(self, results: dict[str, Any]) -> dict[str, Any]:
        """Load it.

        Args:
            results (dict): Has ``img_path``.

        Returns:
            dict: ``results``, with ``img``, ``img_shape`` and ``ori_shape``.

        Raises:
            ValueError: If it cannot be read, or is not opaque.
        """
        results['img'] = read_photograph(results['img_path'])
        results['img_shape'] = results['ori_shape'] = results['img'].shape[:2]
        return results

    def __repr__(self) -> str:
        return f'{type(self).__name__}()'


@TRANSFORMS.register_module()
class LoadTrimap(MattingTransform):
    """Load ``trimap``, uint8 (H, W), from ``trimap_path``.

    0 is background and 255 foreground; every other value is unknown and becomes 128.
    """

    needs = ('img', 'img_path', 'trimap_path')

    def transform(self, results: dict[str, Any]) -> dict[str, Any]:
        """Load it.

        Args:
            results (dict): Has ``img`` and ``trimap_path``.

        Returns:
            dict: ``results``, with ``trimap``.

        Raises:
            ValueError: If it cannot be read, is not grey, has no values above 2, or another size
                than the image.
        """
        path = results['trimap_path']
        results['trimap'] = clean_trimap(read_gray(path), path)
        _check_size(results['trimap'], path, results['img'], results['img_path'])
        return results

    def __repr__(self) -> str:
        return f'{type(self).__name__}()'


@TRANSFORMS.register_module()
class LoadAlphaAnnotations(MattingTransform):
    """Load the true ``alpha``, uint8 (H, W), from ``alpha_path``."""

    needs = ('img', 'img_path', 'alpha_path')

    def transform(self, results: dict[str, Any]) -> dict[str, Any]:
        """Load it.

        Args:
            results (dict): Has ``img`` and ``alpha_path``.

        Returns:
            dict: ``results``, with ``alpha``.

        Raises:
            ValueError: If it cannot be read, is not grey, or has another size than the image.
        """
        path = results['alpha_path']
        results['alpha'] = read_gray(path)
        _check_size(results['alpha'], path, results['img'], results['img_path'])
        return results

    def __repr__(self) -> str:
        return f'{type(self).__name__}()'


@TRANSFORMS.register_module()
class LoadFgAndBg(MattingTransform):
    """Load a foreground with its alpha, and a background, to compose an image of.

    The foreground's own transparency is left out: its alpha is a file of its own.
    """

    needs = ('fg_path', 'alpha_path', 'bg_path')
    changes = ('fg', 'bg', 'alpha')

    def transform(self, results: dict[str, Any]) -> dict[str, Any]:
        """Load them.

        Args:
            results (dict): Has ``fg_path``, ``alpha_path`` and ``bg_path``.

        Returns:
            dict: ``results``, with ``fg`` and ``bg``, BGR, uint8 (H, W, 3), ``alpha``, uint8
            (H, W), and the ``ori_shape`` of the foreground.

        Raises:
            ValueError: If one cannot be read, or the alpha has another size than the foreground.
        """
        results['fg'], results['alpha'] = load_fg(results['fg_path'], results['alpha_path'])
        results['bg'] = read_colors(results['bg_path'])
        results['ori_shape'] = results['alpha'].shape
        return results

    def __repr__(self) -> str:
        return f'{type(self).__name__}()'


def load_fg(fg_path: str, alpha_path: str) -> tuple[np.ndarray, np.ndarray]:
    """Load a foreground and its alpha.

    Args:
        fg_path (str): The foreground.
        alpha_path (str): Its alpha.

    Returns:
        tuple[np.ndarray, np.ndarray]: BGR, uint8 (H, W, 3), and uint8 (H, W).

    Raises:
        ValueError: If one cannot be read, or they have two sizes.
    """
    fg, alpha = read_colors(fg_path), read_gray(alpha_path)
    _check_size(alpha, alpha_path, fg, fg_path)
    return fg, alpha


def _check_size(one: np.ndarray, path: str, image: np.ndarray, image_path: str) -> None:
    size, expected = one.shape[:2], image.shape[:2]
    if size != expected:
        raise ValueError(describe_sizes(path, size, image_path, expected))
