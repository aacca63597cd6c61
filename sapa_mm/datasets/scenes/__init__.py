"""Generated scenes, the built-in dataset.

Procedural images with exact semantic, instance and panoptic labels, hard where upsampling
matters: textured regions with irregular borders, overlapping things and thin structures. They need
numpy, and Pillow to write files. ``sapa_mm.datasets`` exports the public names.
"""
