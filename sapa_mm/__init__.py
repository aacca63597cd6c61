"""SAPA feature upsampling for OpenMMLab."""

__version__ = '0.2.0.dev0'
