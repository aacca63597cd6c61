"""Generated mattes: a foreground with the exact alpha of every pixel, and a background."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from ...utils.composition import compose
from .matte_layout import FOREGROUNDS, join_parts
from .scene import check_size, expose, generate_scene

_LARGEST_ELLIPSE = 29
"""Largest size of the ellipse that makes a trimap of 512 pixels, as in training on Adobe's set."""


@dataclass(frozen=True, eq=False)
class Matte:
    """A foreground, its alpha and a background. All arrays are read-only.

    Attributes:
        foreground (np.ndarray): RGB image, painted everywhere, uint8 (H, W, 3).
        alpha (np.ndarray): Opacity of the foreground, uint8 (H, W), 255 where it is opaque.
        background (np.ndarray): RGB image, uint8 (H, W, 3).
        trimap (np.ndarray): What is told about alpha, uint8 (H, W): 255 where it is 255, 0 where it
            is 0, 128 where it is unknown.
    """

    foreground: np.ndarray
    alpha: np.ndarray
    background: np.ndarray
    trimap: np.ndarray

    @cached_property
    def image(self) -> np.ndarray:
        """The foreground in front of the background, RGB, uint8 (H, W, 3), rounded down."""
        image = compose(self.foreground, self.background, self.alpha)
        image.flags.writeable = False
        return image


def generate_matte(index: int, seed: int = 0, size: tuple[int, int] = (160, 160)) -> Matte:
    """Generate one matte; in turns of four, it is of hair, a net, a veil and a soft edge.

    The same arguments always give the same matte, whatever was generated before.

    Args:
        index (int): Number of the matte within its seed, 0 or more.
        seed (int): Seed, 0 or more. Defaults to 0.
        size (tuple[int, int]): Height and width in pixels, each 32 or more. Defaults to
            (160, 160).

    Returns:
        Matte: The matte; its background is the scene with the same arguments, darker.

    Raises:
        ValueError: If ``index`` or ``seed`` is negative or ``size`` is not two integers of at
            least 32.
    """
    scene = generate_scene(index, seed, size).image
    size = check_size(size)
    # Not the generator of the scene, whose choices would come again.
    rng = np.random.default_rng([seed, index, 1])
    foreground = join_parts(FOREGROUNDS[index % len(FOREGROUNDS)](rng, size))
    alpha = np.round(foreground.coverage * 255).astype(np.uint8)
    # With the light and noise of any scene, which shall not tell it from the background.
    colour = expose(rng, foreground.colour)
    trimap = _sample_trimap(rng, alpha)
    # The light is on the foreground: to tell like colours apart takes long training.
    background = (scene * rng.uniform(0.1, 0.35)).astype(np.uint8)
    for array in (colour, alpha, background, trimap):
        array.flags.writeable = False
    return Matte(colour, alpha, background, trimap)


def _sample_trimap(rng, alpha):
    largest = max(round(_LARGEST_ELLIPSE * min(alpha.shape) / 512), 1)
    sizes = rng.integers(1, largest + 1, 2)
    trimap = np.full(alpha.shape, 128, dtype=np.uint8)
    for value, size in zip((255, 0), sizes, strict=True):
        trimap[erode(alpha == value, int(size))] = value
    return trimap


def erode(mask: np.ndarray, size: int) -> np.ndarray:
    """Erode a mask by an ellipse, as OpenCV does; what is outside the image counts as inside it.

    Args:
        mask (np.ndarray): Bool (H, W).
        size (int): Height and width of the ellipse in pixels.

    Returns:
        np.ndarray: Bool (H, W).
    """
    height, width = mask.shape
    radius = size // 2
    # A run of pixels is inside the mask where the count of those outside does not grow.
    outside = np.cumsum(~np.pad(mask, radius, constant_values=True), axis=1)
    outside = np.pad(outside, ((0, 0), (1, 0)))
    eroded = np.ones_like(mask)
    for row in range(size):
        reach = round(float(np.sqrt(radius**2 - (row - radius) ** 2)))
        first, last = max(radius - reach, 0), min(radius + reach + 1, size)
        rows = outside[row : row + height]
        eroded &= rows[:, last : last + width] == rows[:, first : first + width]
    return eroded
