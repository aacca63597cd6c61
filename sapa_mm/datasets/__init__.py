"""Data: the generated scenes and rooms, which need only numpy, and ``checks`` of any dataset."""

from ..utils.coco_panoptic import id2rgb, rgb2id
from .scenes.categories import (
    CATEGORIES,
    CLASSES,
    PALETTE,
    STUFF_CLASSES,
    THING_CLASSES,
    Category,
)
from .scenes.room import Room, generate_room
from .scenes.scene import Scene, Segment, generate_scene
from .scenes.writers import write_rooms, write_scenes

__all__ = [
    'CATEGORIES',
    'CLASSES',
    'PALETTE',
    'STUFF_CLASSES',
    'THING_CLASSES',
    'Category',
    'Room',
    'Scene',
    'Segment',
    'generate_room',
    'generate_scene',
    'id2rgb',
    'rgb2id',
    'write_rooms',
    'write_scenes',
]
