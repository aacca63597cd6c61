"""Generated scenes, the embedded default dataset.

Procedural images with exact semantic, instance and panoptic labels, hard where upsampling
matters: textured regions with irregular borders, overlapping things and thin structures. Needs
numpy, and Pillow to write files.
"""

from ...utils.coco_panoptic import id2rgb, rgb2id
from .categories import CATEGORIES, CLASSES, PALETTE, STUFF_CLASSES, THING_CLASSES, Category
from .scene import Scene, Segment, generate_scene
from .writers import write_scenes

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
