"""A segmentor of mmseg as a module from normalised images to logits, and its trace."""

from dataclasses import dataclass

import sapa_ops
import torch
from torch import Tensor, nn
from torch.export import Dim, ExportedProgram, export

from ..utils.text import one_line

# Odd sides, since the graph must hold for every size.
_EXAMPLE = (1, 3, 101, 143)


class Segmentor(nn.Module):
    """A segmentor that returns logits at the size of the image.

    Args:
        model (nn.Module): mmseg's ``EncoderDecoder``, in evaluation mode, on the CPU.
    """

    def __init__(self, model: nn.Module):
        super().__init__()
        self.model = model

    def forward(self, image: Tensor) -> Tensor:
        """Predicts the logits.

        Args:
            image (Tensor): Normalised, float32 (1, 3, H, W).

        Returns:
            Tensor: (1, num_classes, H, W).
        """
        return self.model.encode_decode(image, [dict(img_shape=image.shape[2:])])


@dataclass(frozen=True)
class Traced:
    """A traced segmentor.

    Attributes:
        program (ExportedProgram): For one image of any height and width.
        min_size (list[int]): Smallest height and width of an image.
    """

    program: ExportedProgram
    min_size: list[int]


def check_exportable(model: nn.Module) -> None:
    """Checks that a model can be exported.

    Args:
        model (nn.Module): The model.

    Raises:
        ValueError: If it cannot, with the reason.
    """
    from mmseg.models import EncoderDecoder

    if not isinstance(model, EncoderDecoder):
        raise ValueError(
            f'model: {type(model).__name__} cannot be exported: only segmentors of mmseg '
            '(EncoderDecoder) can; the results of detectors have no fixed shape'
        )
    mode = model.test_cfg.get('mode', 'whole')
    if mode != 'whole':
        raise ValueError(
            f'model.test_cfg.mode={mode!r} cannot be exported: the file holds the network, which '
            "takes a whole image; test with mode='whole', or cut windows around it yourself"
        )
    if model.out_channels == 1:
        raise ValueError(
            'model.decode_head.out_channels=1 cannot be exported: the file gives logits of '
            'classes, of which the largest counts; train with out_channels=2'
        )


def trace(segmentor: Segmentor) -> Traced:
    """Traces a segmentor once for all sizes; operators of sapa_ops stay whole.

    Args:
        segmentor (Segmentor): The segmentor.

    Returns:
        Traced: The program.

    Raises:
        RuntimeError: If ``sapa_ops`` has no compiled operators.
        ValueError: If the model cannot be traced.
    """
    sizes = {2: Dim.DYNAMIC, 3: Dim.DYNAMIC}
    with sapa_ops.use_backend('compiled'), torch.no_grad():
        try:
            program = export(segmentor, (torch.zeros(_EXAMPLE),), dynamic_shapes={'image': sizes})
        except Exception as error:
            # Tracing runs the model's own code, which may raise anything.
            raise ValueError(f'the model cannot be traced: {one_line(error)}') from error
    image = next(n for n in program.graph.nodes if n.op == 'placeholder' and n.name == 'image')
    symbols = [side.node.expr for side in image.meta['val'].shape[2:]]
    return Traced(program, [int(program.range_constraints[symbol].lower) for symbol in symbols])
