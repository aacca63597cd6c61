"""Monocular depth estimation for mmseg; add ``sapa_mm.depth`` to ``custom_imports``."""
