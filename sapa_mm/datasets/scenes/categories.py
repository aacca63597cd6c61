"""The classes of the generated scenes."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from . import textures


@dataclass(frozen=True)
class Category:
    """A class of the generated scenes.

    Attributes:
        id (int): Value in semantic maps and category id in COCO files, from 1 on. 0 is reserved
            for "other", as in ADE20K, and never occurs.
        name (str): Name of the class.
        isthing (bool): Whether it is countable (has instances), not stuff.
        color (tuple[int, int, int]): RGB colour to draw it with, 0 to 255.
        texture (Callable): How it is painted, see ``sapa_mm.datasets.scenes.textures``.
    """

    id: int
    name: str
    isthing: bool
    color: tuple[int, int, int]
    texture: Callable[..., np.ndarray]


# Things first: mmdet's panoptic models assume that the first labels are things.
CATEGORIES = (
    Category(1, 'disk', True, (220, 20, 60), textures.ball),
    Category(2, 'box', True, (119, 11, 32), textures.planks),
    Category(3, 'ring', True, (250, 170, 30), textures.metal),
    Category(4, 'star', True, (255, 255, 0), textures.glow),
    Category(5, 'blob', True, (165, 42, 165), textures.mottle),
    Category(6, 'strand', True, (40, 20, 10), textures.hair),
    Category(7, 'sky', False, (135, 206, 250), textures.sky),
    Category(8, 'grass', False, (107, 142, 35), textures.grass),
    Category(9, 'water', False, (0, 60, 140), textures.water),
    Category(10, 'brick', False, (178, 90, 70), textures.brick),
    Category(11, 'sand', False, (230, 205, 150), textures.sand),
)
"""All classes; the class with id ``i`` is at position ``i - 1``."""

CLASSES = tuple(category.name for category in CATEGORIES)
"""Names of all classes, in the order of their ids; label 0 of a model is the class with id 1."""

THING_CLASSES = tuple(category.name for category in CATEGORIES if category.isthing)
"""Names of the countable classes, the first of ``CLASSES``."""

STUFF_CLASSES = tuple(category.name for category in CATEGORIES if not category.isthing)
"""Names of the stuff classes, the last of ``CLASSES``."""

PALETTE = tuple(category.color for category in CATEGORIES)
"""RGB colours of all classes, in the order of ``CLASSES``."""
