"""Generated data, the built-in datasets.

Procedural images with exact labels, hard where upsampling matters: textured regions with irregular
borders, overlapping things and thin structures. Scenes have semantic, instance and panoptic labels,
rooms have depth, mattes have alpha. They need numpy, and Pillow to write files.
``sapa_mm.datasets`` exports the public names.
"""
