"""Runs of a config: reading it, training, testing, resuming; checkpoints and published weights.

Importing this package registers its hooks and changes nothing else.
"""

from .checkpoint import CheckpointError, install_safe_loading, read_checkpoint
from .config import read_config
from .random_state_hook import RandomStateHook
from .resume import find_resumable
from .save_predictions_hook import SavePredictionsHook

__all__ = [
    'CheckpointError',
    'RandomStateHook',
    'SavePredictionsHook',
    'find_resumable',
    'install_safe_loading',
    'read_checkpoint',
    'read_config',
]
