"""The trace of a model, for images of any size."""

import contextlib
import functools
from dataclasses import dataclass
from unittest import mock

import torch
import torch.fx.experimental._config as symbolic_sizes
from torch import nn
from torch.export import Dim, ExportedProgram, export

from ..utils.text import one_line
from .exported_model import ExportedModel

# Odd sides, since the graph must hold for every size.
_EXAMPLE_SIZE = (101, 143)


@dataclass(frozen=True)
class Traced:
    """A traced model.

    Attributes:
        program (ExportedProgram): For one image of any height and width.
        min_size (list[int]): Smallest height and width of an image.
        inputs (tuple[str, ...]): Names of what it takes.
        output (str): Name of the map that it returns.
    """

    program: ExportedProgram
    min_size: list[int]
    inputs: tuple[str, ...]
    output: str


def trace(exported: ExportedModel) -> Traced:
    """Traces a model once for all sizes; operators of sapa_ops stay whole.

    Args:
        exported (ExportedModel): The model.

    Returns:
        Traced: The program.

    Raises:
        ValueError: If the model cannot be traced.
    """
    sizes = {2: Dim.DYNAMIC, 3: Dim.DYNAMIC}
    with (
        torch.no_grad(),
        _traceable(getattr(exported.model, 'backbone', None)),
        # Features of a single row or window in the example may have more in other images.
        symbolic_sizes.patch(backed_size_oblivious=True),
    ):
        try:
            example = exported.example(*_EXAMPLE_SIZE)
            program = export(exported, example, dynamic_shapes=[sizes for _ in example])
        except Exception as error:
            # Tracing runs the model's own code, which may raise anything.
            raise ValueError(f'the model cannot be traced: {one_line(error)}') from error
    node = next(n for n in program.graph.nodes if n.op == 'placeholder' and n.name == 'image')
    symbols = [side.node.expr for side in node.meta['val'].shape[2:]]
    sides = [int(program.range_constraints[symbol].lower) for symbol in symbols]
    return Traced(program, sides, exported.inputs, exported.output)


def _traceable(backbone: nn.Module | None) -> contextlib.AbstractContextManager:
    """Give mmseg's Swin the form that our subclass has when it is traced, for a while."""
    if backbone is None or type(backbone).__name__ != 'SwinTransformer':
        return contextlib.nullcontext()
    from ..depth.traceable_swin import swin_stages

    return mock.patch.object(backbone, 'forward', functools.partial(swin_stages, backbone))
