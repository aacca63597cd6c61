"""Transforms that train A2U matting: two foregrounds, affine, trimap, crop, colours, composition.

A sample has ``fg`` and ``bg``, BGR (H, W, 3), and ``alpha`` (H, W), in 0..255 all the way.
"""

import math
from typing import Any

import cv2
import numpy as np
from mmengine.registry import TRANSFORMS
from sapa_ops.checks import check_positive

from .loading import load_fg
from .matting_transform import MattingTransform
from .trimap import UNKNOWN, trimap_of_alpha

# What mmengine seeds.
_uniform, _randint = np.random.uniform, np.random.randint


@TRANSFORMS.register_module()
class CompositeFg(MattingTransform):
    """Put the foreground in front of another one.

    The other one is resized to its size (nearest). With alphas a1 and a2 in [0, 1]::

        alpha = 1 - (1 - a1) * (1 - a2)
        fg = (a1 * fg1 + (1 - a1) * a2 * fg2) / alpha

    The foreground is black where alpha is 0. It stays as it was if alpha would be 1 everywhere.

    Args:
        prob (float): Probability of it. Defaults to 0.5.

    Raises:
        ValueError: If prob is not in 0..1.
    """

    needs = ('fg', 'alpha', 'other_fg_path', 'other_alpha_path')
    changes = ('fg', 'alpha')

    def __init__(self, prob: float = 0.5):
        _check_prob(self, prob)
        self.prob = prob

    def transform(self, results: dict[str, Any]) -> dict[str, Any]:
        """Change ``fg`` and ``alpha``, which becomes float32 then.

        Args:
            results (dict): Has ``fg``, ``alpha``, and ``other_fg_path`` and ``other_alpha_path``,
                which are loaded if they are needed.

        Returns:
            dict: ``results``.
        """
        if _uniform() >= self.prob:
            return results
        alpha = results['alpha']
        other_fg, other_alpha = (
            _resize(layer, alpha.shape)
            for layer in load_fg(results['other_fg_path'], results['other_alpha_path'])
        )
        front, back = alpha.astype(np.float32) / 255, other_alpha.astype(np.float32) / 255
        both = 1 - (1 - front) * (1 - back)
        if (both < 1).any():
            back = (1 - front) * back
            sum_ = front[..., None] * results['fg'] + back[..., None] * other_fg
            fg = np.divide(sum_, both[..., None], out=np.zeros_like(sum_), where=sum_ > 0)
            results['fg'] = np.rint(fg).clip(0, 255).astype(np.uint8)
            results['alpha'] = both * 255
        return results

    def __repr__(self) -> str:
        return f'{type(self).__name__}(prob={self.prob})'


@TRANSFORMS.register_module()
class ResizeFg(MattingTransform):
    """Resize the foreground (nearest) to one size.

    Args:
        size (tuple[int, int]): Height and width. Defaults to (640, 640).
        prob (float): Probability of it. Defaults to 0.25.

    Raises:
        ValueError: If prob is not in 0..1, or size not two positive integers.
    """

    needs = ('fg', 'alpha')
    changes = ('fg', 'alpha')

    def __init__(self, size: tuple[int, int] = (640, 640), prob: float = 0.25):
        _check_prob(self, prob)
        self.size = _check_size(self, size=size)
        self.prob = prob

    def transform(self, results: dict[str, Any]) -> dict[str, Any]:
        """Resize ``fg`` and ``alpha``.

        Args:
            results (dict): Has them.

        Returns:
            dict: ``results``.
        """
        if _uniform() < self.prob:
            for key in ('fg', 'alpha'):
                results[key] = _resize(results[key], self.size)
        return results

    def __repr__(self) -> str:
        return f'{type(self).__name__}(size={self.size}, prob={self.prob})'


@TRANSFORMS.register_module()
class RandomFgAffine(MattingTransform):
    """Flip, scale, rotate and shear the foreground about its centre (nearest).

    What comes in from outside has alpha 0. A2U flips once more afterwards, left to right, which
    makes no difference: angles of either sign and flips are equally likely.

    Args:
        degrees (float): Largest rotation, either way. Defaults to 30.
        scale_range (tuple[float, float]): Scales of width and height, which are drawn one by one.
            Defaults to (0.8, 1.25).
        shear (float): Largest shear in degrees, either way. Defaults to 10.
        flip_prob (float): Probability of a flip of each axis. Defaults to 0.5.
        min_rotated_side (int): Only foregrounds whose longer side is this or more are rotated.
            Defaults to 1024.

    Raises:
        ValueError: If flip_prob is not in 0..1, degrees not in 0..180, shear not from 0 to below
            90, or scale_range not 0 < low <= high.
    """

    needs = ('fg', 'alpha')
    changes = ('fg', 'alpha')

    def __init__(
        self,
        degrees: float = 30,
        scale_range: tuple[float, float] = (0.8, 1.25),
        shear: float = 10,
        flip_prob: float = 0.5,
        min_rotated_side: int = 1024,
    ):
        _check_prob(self, flip_prob, 'flip_prob')
        low, high = scale_range
        if not 0 < low <= high:
            raise ValueError(
                f'RandomFgAffine: scale_range must have 0 < low <= high, got {(low, high)}'
            )
        if not 0 <= degrees <= 180:
            raise ValueError(f'RandomFgAffine: degrees must be in 0..180, got {degrees}')
        if not 0 <= shear < 90:
            raise ValueError(f'RandomFgAffine: shear must be from 0 to below 90, got {shear}')
        self.degrees = degrees
        self.scale_range = (low, high)
        self.shear = shear
        self.flip_prob = flip_prob
        self.min_rotated_side = min_rotated_side

    def transform(self, results: dict[str, Any]) -> dict[str, Any]:
        """Change ``fg`` and ``alpha``.

        Args:
            results (dict): Has them.

        Returns:
            dict: ``results``.
        """
        height, width = results['alpha'].shape
        matrix = self._draw_matrix(max(height, width) >= self.min_rotated_side)
        # Pixel centres: the centre of 4 columns is 1.5.
        centre = np.array([width - 1, height - 1]) / 2
        matrix = np.column_stack([matrix, centre - matrix @ centre])
        for key in ('fg', 'alpha'):
            results[key] = cv2.warpAffine(
                results[key], matrix, (width, height), flags=cv2.INTER_NEAREST
            )
        return results

    def _draw_matrix(self, rotates: bool) -> np.ndarray:
        """Draw shear after rotation after scale after flips, for (x, y)."""
        angle = math.radians(_uniform(-self.degrees, self.degrees)) if rotates else 0.0
        scales = _uniform(*self.scale_range, size=2)
        shear = math.radians(_uniform(-self.shear, self.shear))
        flips = np.where(_uniform(size=2) < self.flip_prob, -1, 1)
        turn = [
            [math.cos(angle + shear), -math.sin(angle + shear)],
            [math.sin(angle), math.cos(angle)],
        ]
        return np.array(turn) * (scales * flips)

    def __repr__(self) -> str:
        return (
            f'{type(self).__name__}(degrees={self.degrees}, scale_range={self.scale_range}, '
            f'shear={self.shear}, flip_prob={self.flip_prob}, '
            f'min_rotated_side={self.min_rotated_side})'
        )


@TRANSFORMS.register_module()
class GenerateTrimap(MattingTransform):
    """Make a trimap of alpha: its 255 and its 0, each eroded by an ellipse of a random size.

    Args:
        size_range (tuple[int, int]): Smallest and largest diameter of the ellipses in pixels. The
            two are drawn one by one. Defaults to (1, 29).

    Raises:
        ValueError: If size_range is not of integers with 1 <= low <= high.
    """

    needs = ('alpha',)

    def __init__(self, size_range: tuple[int, int] = (1, 29)):
        low, high = size_range
        if not (isinstance(low, int) and isinstance(high, int) and 1 <= low <= high):
            raise ValueError(
                'GenerateTrimap: size_range must be integers with 1 <= low <= high, got '
                f'{(low, high)}'
            )
        self.size_range = (low, high)

    def transform(self, results: dict[str, Any]) -> dict[str, Any]:
        """Add ``trimap``, uint8 (H, W) of 0, 128 and 255.

        Args:
            results (dict): Has ``alpha``.

        Returns:
            dict: ``results``.
        """
        sizes = _randint(self.size_range[0], self.size_range[1] + 1, size=2)
        results['trimap'] = trimap_of_alpha(results['alpha'], *sizes.tolist())
        return results

    def __repr__(self) -> str:
        return f'{type(self).__name__}(size_range={self.size_range})'


@TRANSFORMS.register_module()
class CropAroundUnknown(MattingTransform):
    """Crop around an unknown pixel of the trimap that is half a crop from the border or more.

    It is any crop if there are fewer than 10 such pixels. Foregrounds that are not larger than the
    crop are enlarged first (nearest), so that the shorter side is 1.1 times that of the crop. The
    background is enlarged (cubic) if it is smaller than the foreground, and the same window is cut
    from it.

    Args:
        crop_size (int | tuple[int, int]): Height and width. Defaults to 512.

    Raises:
        ValueError: If crop_size is not one or two positive integers.
    """

    needs = ('fg', 'alpha', 'trimap', 'bg')
    changes = ('fg', 'alpha', 'trimap', 'bg')

    min_pixels = 10

    def __init__(self, crop_size: int | tuple[int, int] = 512):
        if isinstance(crop_size, int):
            crop_size = (crop_size, crop_size)
        self.crop_size = _check_size(self, crop_size=crop_size)

    def transform(self, results: dict[str, Any]) -> dict[str, Any]:
        """Crop ``fg``, ``alpha``, ``trimap`` and ``bg``.

        Args:
            results (dict): Has them.

        Returns:
            dict: ``results``.
        """
        size = np.array(results['alpha'].shape)
        bg_size = np.array(results['bg'].shape[:2])
        bg_size = np.ceil(bg_size * max(1, *(size / bg_size))).astype(int)
        if (size <= self.crop_size).any():
            ratio = max(1.1 * np.array(self.crop_size) / size)
            size = np.maximum((size * ratio).astype(int), np.array(self.crop_size) + 1)
            bg_size = np.maximum((bg_size * ratio).astype(int), size)
            for key in ('fg', 'alpha', 'trimap'):
                results[key] = _resize(results[key], size)
        if tuple(bg_size) != results['bg'].shape[:2]:
            results['bg'] = _resize(results['bg'], bg_size, cv2.INTER_CUBIC)
        top, left = self._draw_corner(results['trimap'])
        height, width = self.crop_size
        for key in ('fg', 'alpha', 'trimap', 'bg'):
            results[key] = results[key][top : top + height, left : left + width]
        return results

    def _draw_corner(self, trimap: np.ndarray) -> tuple[int, int]:
        """Draw the crop's top and left."""
        (height, width), (crop_height, crop_width) = trimap.shape, self.crop_size
        rows = height - crop_height + 1, width - crop_width + 1
        margin_y, margin_x = crop_height // 2, crop_width // 2
        # Pixel (i, j) of this part is the centre of the crop whose corner is (i, j).
        centres = trimap[margin_y : margin_y + rows[0], margin_x : margin_x + rows[1]]
        unknown = np.flatnonzero(centres == UNKNOWN)
        if len(unknown) < self.min_pixels:
            return _randint(rows[0]), _randint(rows[1])
        return divmod(int(unknown[_randint(len(unknown))]), centres.shape[1])

    def __repr__(self) -> str:
        return f'{type(self).__name__}(crop_size={self.crop_size})'


@TRANSFORMS.register_module()
class JitterFg(MattingTransform):
    """Change hue, saturation and value of the foreground.

    The hue moves by an integer. Saturation and value, in [0, 1], each move by up to a tenth of
    1.1 - m either way, with the mean m where alpha is above 0, and are reflected at 0 and 1.

    Args:
        hue (int): Largest change of the hue in degrees; from -hue to hue - 1. Defaults to 40.

    Raises:
        ValueError: If hue is not a positive integer.
    """

    needs = ('fg', 'alpha')
    changes = ('fg',)

    def __init__(self, hue: int = 40):
        check_positive(type(self).__name__, hue=hue)
        self.hue = hue

    def transform(self, results: dict[str, Any]) -> dict[str, Any]:
        """Change ``fg``, which becomes float32; not where alpha is 0 everywhere.

        Args:
            results (dict): Has ``fg`` and ``alpha``.

        Returns:
            dict: ``results``.
        """
        visible = results['alpha'] > 0
        if not visible.any():
            return results
        hsv = cv2.cvtColor(results['fg'].astype(np.float32) / 255, cv2.COLOR_BGR2HSV)
        hsv[..., 0] = (hsv[..., 0] + _randint(-self.hue, self.hue)) % 360
        for channel in (1, 2):
            values = hsv[..., channel]
            limit = (1.1 - values[visible].mean()) / 10
            values = np.abs(values + _uniform(-limit, limit))
            hsv[..., channel] = np.where(values > 1, 2 - values, values)
        results['fg'] = cv2.cvtColor(hsv, cv2.COLOR_HSV2BGR) * 255
        return results

    def __repr__(self) -> str:
        return f'{type(self).__name__}(hue={self.hue})'


@TRANSFORMS.register_module()
class MergeFgAndBg(MattingTransform):
    """Compose the image, ``alpha * fg + (1 - alpha) * bg`` with alpha in [0, 1]."""

    needs = ('fg', 'bg', 'alpha')

    def transform(self, results: dict[str, Any]) -> dict[str, Any]:
        """Add ``img``, float32 (H, W, 3), and its ``img_shape``; all layers become float32.

        Args:
            results (dict): Has ``fg``, ``bg`` and ``alpha``.

        Returns:
            dict: ``results``.

        Raises:
            ValueError: If they differ in size.
        """
        sizes = [results[key].shape[:2] for key in self.needs]
        if len(set(sizes)) > 1:
            raise ValueError(
                f'MergeFgAndBg: fg, bg and alpha must have one size, got {sizes}; put '
                'CropAroundUnknown before it'
            )
        for key in ('fg', 'bg', 'alpha'):
            results[key] = results[key].astype(np.float32).clip(0, 255)
        share = results['alpha'][..., None] / 255
        results['img'] = share * results['fg'] + (1 - share) * results['bg']
        results['img_shape'] = results['alpha'].shape
        return results

    def __repr__(self) -> str:
        return f'{type(self).__name__}()'


def _resize(layer: np.ndarray, size: Any, interpolation: int = cv2.INTER_NEAREST) -> np.ndarray:
    """Resize to (height, width)."""
    return cv2.resize(layer, (int(size[1]), int(size[0])), interpolation=interpolation)


def _check_prob(transform: MattingTransform, prob: float, name: str = 'prob') -> None:
    if not 0 <= prob <= 1:
        raise ValueError(f'{type(transform).__name__}: {name} must be in 0..1, got {prob}')


def _check_size(transform: MattingTransform, **sizes: Any) -> tuple[int, ...]:
    ((name, size),) = sizes.items()
    if not (len(size) == 2 and all(isinstance(side, int) and side > 0 for side in size)):
        raise ValueError(
            f'{type(transform).__name__}: {name} must be two positive integers, got {size}'
        )
    return tuple(size)
