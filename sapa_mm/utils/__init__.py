"""Helpers shared by the other packages; they need neither torch nor mmengine."""
