"""Data: the generated scenes, which need only numpy, and ``checks`` of any dataset."""

from ..utils.coco_panoptic import id2rgb, rgb2id
from .scenes.categories import (
    CATEGORIES,
    CLASSES,
    PALETTE,
    STUFF_CLASSES,
    THING_CLASSES,
    Category,
)
from .scenes.scene import Scene, Segment, generate_scene
from .scenes.writers import write_scenes

__all__ = [
    'CATEGORIES',
    'CLASSES',
    'PALETTE',
    'STUFF_CLASSES',
    'THING_CLASSES',
    'Category',
    'Scene',
    'Segment',
    'generate_scene',
    'id2rgb',
    'rgb2id',
    'write_scenes',
]
