"""The trace of a model, for images of any size."""

import contextlib
import functools
from dataclasses import dataclass
from unittest import mock

import sapa_ops
import torch
import torch.fx.experimental._config as symbolic_sizes
from torch import nn
from torch.export import Dim, ExportedProgram, export

from ..engine.images import input_channels
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
        output (str): Name of the map that it returns.
    """

    program: ExportedProgram
    min_size: list[int]
    output: str


def trace(exported: ExportedModel) -> Traced:
    """Traces a model once for all sizes; operators of sapa_ops stay whole.

    Args:
        exported (ExportedModel): The model.

    Returns:
        Traced: The program.

    Raises:
        RuntimeError: If ``sapa_ops`` has no compiled operators.
        ValueError: If the model cannot be traced.
    """
    sizes = {2: Dim.DYNAMIC, 3: Dim.DYNAMIC}
    with (
        sapa_ops.use_backend('compiled'),
        torch.no_grad(),
        _traceable(exported.model.backbone),
        # Features of a single row or window in the example may have more in other images.
        symbolic_sizes.patch(backed_size_oblivious=True),
    ):
        try:
            image = torch.zeros(1, input_channels(exported.model), *_EXAMPLE_SIZE)
            program = export(exported, (image,), dynamic_shapes={'image': sizes})
        except Exception as error:
            # Tracing runs the model's own code, which may raise anything.
            raise ValueError(f'the model cannot be traced: {one_line(error)}') from error
    node = next(n for n in program.graph.nodes if n.op == 'placeholder' and n.name == 'image')
    symbols = [side.node.expr for side in node.meta['val'].shape[2:]]
    sides = [int(program.range_constraints[symbol].lower) for symbol in symbols]
    return Traced(program, sides, exported.output)


def _traceable(backbone: nn.Module) -> contextlib.AbstractContextManager:
    """Give mmseg's Swin the form that our subclass has when it is traced, for a while."""
    if type(backbone).__name__ != 'SwinTransformer':
        return contextlib.nullcontext()
    from ..depth.traceable_swin import swin_stages

    return mock.patch.object(backbone, 'forward', functools.partial(swin_stages, backbone))
