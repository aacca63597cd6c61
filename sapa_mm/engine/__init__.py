"""Training and testing with mmengine: importing this makes checkpoint loading safe."""

from .checkpoint import CheckpointError, read_checkpoint
from .random_state_hook import RandomStateHook
from .resume import find_resumable

__all__ = ['CheckpointError', 'RandomStateHook', 'find_resumable', 'read_checkpoint']
