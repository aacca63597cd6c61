"""Data: the generated scenes, the embedded default, and what is wrong with somebody's data."""

from . import scenes
from .scenes import *  # noqa: F403

__all__ = scenes.__all__
