"""Operators for feature upsampling: similarity and assembly over windows or sampled points.

Needs only torch. ``sapa_ops.reference`` is the float64 oracle of the tests;
``sapa_ops.onnx``, which needs onnxscript, translates the operators to ONNX.
"""

from .backends import BackendReport, backend_for, use_backend
from .operators import point_assemble, point_similarity, window_assemble, window_similarity

__version__ = '0.2.0.dev0'

__all__ = [
    'BackendReport',
    'backend_for',
    'point_assemble',
    'point_similarity',
    'use_backend',
    'window_assemble',
    'window_similarity',
]
