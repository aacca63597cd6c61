"""Runs of a config: reading it, training, testing, resuming; checkpoints and published weights.

Importing this package registers ``RandomStateHook`` and changes nothing else.
"""

from .checkpoint import CheckpointError, install_safe_loading, read_checkpoint
from .config import read_config
from .random_state_hook import RandomStateHook
from .resume import find_resumable

__all__ = [
    'CheckpointError',
    'RandomStateHook',
    'find_resumable',
    'install_safe_loading',
    'read_checkpoint',
    'read_config',
]
