"""Data: generated scenes, rooms and mattes, which need only numpy; ``checks`` of any dataset."""

from ..utils.coco_panoptic import id2rgb, rgb2id
from .scenes.categories import (
    CATEGORIES,
    CLASSES,
    PALETTE,
    STUFF_CLASSES,
    THING_CLASSES,
    Category,
)
from .scenes.matte import Matte, generate_matte
from .scenes.room import Room, generate_room
from .scenes.scene import Scene, Segment, generate_scene
from .scenes.writers import write_mattes, write_rooms, write_scenes

__all__ = [
    'CATEGORIES',
    'CLASSES',
    'PALETTE',
    'STUFF_CLASSES',
    'THING_CLASSES',
    'Category',
    'Matte',
    'Room',
    'Scene',
    'Segment',
    'generate_matte',
    'generate_room',
    'generate_scene',
    'id2rgb',
    'rgb2id',
    'write_mattes',
    'write_rooms',
    'write_scenes',
]
