"""Generated scenes: an image with exact semantic, instance and panoptic labels."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from .layout import Layer, sample_layers
from .textures import fractal_noise

if TYPE_CHECKING:
    from .room_layout import Surface

MIN_SIZE = 32
"""Smallest height and width of a scene in pixels."""

MIN_VISIBLE = 16
"""A thing with fewer visible pixels is left out of its scene."""


@dataclass(frozen=True)
class Segment:
    """One thing, or all pixels of one stuff class.

    Attributes:
        id (int): Value in the panoptic map, from 1 on, unique in its scene.
        category_id (int): Class, see ``sapa_mm.datasets.CATEGORIES``.
        isthing (bool): Whether the segment is an instance.
        bbox (tuple[int, int, int, int]): Left, top, width and height of its visible pixels.
        area (int): Number of its visible pixels.
    """

    id: int
    category_id: int
    isthing: bool
    bbox: tuple[int, int, int, int]
    area: int


@dataclass(frozen=True, eq=False)
class Scene:
    """An image and its segments. All arrays are read-only.

    Attributes:
        image (np.ndarray): RGB image, uint8 (H, W, 3).
        panoptic (np.ndarray): Segment id of every pixel, int32 (H, W). Every pixel has one.
        segments (tuple[Segment, ...]): The segments of ``panoptic``, by ascending id.
    """

    image: np.ndarray
    panoptic: np.ndarray
    segments: tuple[Segment, ...]

    @cached_property
    def semantic(self) -> np.ndarray:
        """Category id of every pixel, uint8 (H, W), from 1 on."""
        table = np.zeros(self.segments[-1].id + 1, dtype=np.uint8)
        for segment in self.segments:
            table[segment.id] = segment.category_id
        semantic = table[self.panoptic]
        semantic.flags.writeable = False
        return semantic

    @property
    def instances(self) -> tuple[Segment, ...]:
        """The segments that are things."""
        return tuple(segment for segment in self.segments if segment.isthing)

    def mask(self, segment: Segment) -> np.ndarray:
        """Visible pixels of a segment.

        Args:
            segment (Segment): One of ``segments``.

        Returns:
            np.ndarray: Bool (H, W).
        """
        return self.panoptic == segment.id


def generate_scene(index: int, seed: int = 0, size: tuple[int, int] = (160, 160)) -> Scene:
    """Generate one scene.

    The same arguments always give the same scene, whatever was generated before.

    Args:
        index (int): Number of the scene within its seed, 0 or more.
        seed (int): Seed, 0 or more. Defaults to 0.
        size (tuple[int, int]): Height and width in pixels, each 32 or more. Defaults to
            (160, 160).

    Returns:
        Scene: The scene.

    Raises:
        ValueError: If ``index`` or ``seed`` is negative or ``size`` is not two integers of at
            least 32.
    """
    size = check_size(size)
    check_count('index', index, 0)
    check_count('seed', seed, 0)
    rng = np.random.default_rng([seed, index])
    layers = sample_layers(rng, size)
    layers, owner = _visible_layers(layers, size)
    panoptic, segments = _label(layers, owner)
    image = expose(rng, paint(rng, layers, size))
    image.flags.writeable = panoptic.flags.writeable = False
    return Scene(image=image, panoptic=panoptic, segments=segments)


def check_size(size) -> tuple[int, int]:
    """Check the height and width of a scene.

    Args:
        size (Sequence[int]): Height and width in pixels.

    Returns:
        tuple[int, int]: The size.

    Raises:
        ValueError: If it is not two integers of at least 32.
    """
    try:
        height, width = size
        check_count('size', height, MIN_SIZE)
        check_count('size', width, MIN_SIZE)
    except (TypeError, ValueError):
        raise ValueError(
            f'size must be (height, width), two integers of at least {MIN_SIZE}, got {size!r}'
        ) from None
    return int(height), int(width)


def check_count(name: str, value, minimum: int) -> None:
    """Check an integer argument.

    Args:
        name (str): Name of the argument, for the message.
        value (int): Its value.
        minimum (int): Smallest value allowed.

    Raises:
        ValueError: If ``value`` is not an integer, or too small.
    """
    if isinstance(value, bool) or not isinstance(value, (int, np.integer)) or value < minimum:
        raise ValueError(f'{name} must be an integer of at least {minimum}, got {value!r}')


def _visible_layers(layers: list[Layer], size):
    """Drop things that are hardly visible; also return the layer that owns each pixel."""
    owner = _owner(layers, size)
    areas = np.bincount(owner.ravel(), minlength=len(layers))
    # Leaving a thing out can only uncover others, which stay visible enough.
    layers = [
        layer
        for layer, area in zip(layers, areas, strict=True)
        if not layer.category.isthing or area >= MIN_VISIBLE
    ]
    return layers, _owner(layers, size)


def _owner(layers, size):
    owner = np.zeros(size, dtype=np.int32)
    for number, layer in enumerate(layers):
        owner[layer.window][layer.sdf < 0] = number
    return owner


def _label(layers, owner):
    """Panoptic map and segments from the layer of each pixel."""
    # Ids are spread over the bytes of COCO's panoptic PNGs: the class, then a running number.
    counts = Counter()
    ids = []
    for layer in layers:
        if layer.category.isthing:
            counts[layer.category.id] += 1
        ids.append(layer.category.id + 256 * counts[layer.category.id])
    panoptic = np.array(ids, dtype=np.int32)[owner]
    categories = {segment_id: layer.category for segment_id, layer in zip(ids, layers, strict=True)}
    segments = []
    for segment_id in np.unique(panoptic).tolist():
        mask = panoptic == segment_id
        rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
        left, top = int(columns[0]), int(rows[0])
        segments.append(
            Segment(
                id=segment_id,
                category_id=categories[segment_id].id,
                isthing=categories[segment_id].isthing,
                bbox=(left, top, int(columns[-1]) - left + 1, int(rows[-1]) - top + 1),
                area=int(mask.sum()),
            )
        )
    return panoptic, tuple(segments)


def paint(
    rng: np.random.Generator, layers: list[Layer] | list[Surface], size: tuple[int, int]
) -> np.ndarray:
    """Paint layers back to front, each weighted by its coverage of a pixel.

    Args:
        rng (np.random.Generator): Source of the textures.
        layers (list[Layer] or list[Surface]): The layers.
        size (tuple[int, int]): Height and width in pixels.

    Returns:
        np.ndarray: Colours before lighting and noise, float32 (H, W, 3), about 0 to 1.
    """
    canvas = np.zeros((*size, 3), dtype=np.float32)
    for layer in layers:
        below = canvas[layer.window]
        if layer.shadow:
            below = below * (1 - layer.shadow * np.clip(1 - layer.sdf / 6, 0, 1))[..., None]
        colour = layer.paint(rng)
        coverage = np.clip(0.5 - layer.sdf, 0, 1)[..., None]
        canvas[layer.window] = below + (colour - below) * coverage
    return canvas


def expose(rng: np.random.Generator, canvas: np.ndarray) -> np.ndarray:
    """Apply tinted, uneven light and sensor noise.

    Args:
        rng (np.random.Generator): Source of both.
        canvas (np.ndarray): Colours, float32 (H, W, 3), about 0 to 1.

    Returns:
        np.ndarray: The image, uint8 (H, W, 3).
    """
    size = canvas.shape[:2]
    light = fractal_noise(rng, size, (size[0] / 2, size[1] / 2), octaves=1)
    light = 1 + (light - np.float32(0.5)) * np.float32(rng.uniform(0.1, 0.6))
    tint = rng.uniform(0.94, 1.06, 3).astype(np.float32) * np.float32(rng.uniform(0.8, 1.1))
    noise = rng.standard_normal(canvas.shape, dtype=np.float32)
    image = canvas * light[..., None] * tint + noise * np.float32(rng.uniform(0.005, 0.03))
    return np.round(np.clip(image, 0, 1) * 255).astype(np.uint8)
