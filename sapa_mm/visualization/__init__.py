"""Pictures of what a trained model does; import it in a config for the hook."""

from .hook import UpsampleVisualizationHook

__all__ = ['UpsampleVisualizationHook']
