"""A segmentor of mmseg as a module from normalised images to logits, and its trace."""

import math
from dataclasses import dataclass

import sapa_ops
import torch
from torch import Tensor, nn
from torch.export import Dim, ExportedProgram, export

from ..engine.images import input_channels
from ..utils.text import one_line

# Odd sides, since the graph must hold for every size.
_EXAMPLE_SIZE = (101, 143)


class Segmentor(nn.Module):
    """A segmentor that returns logits at the size of the image.

    A model of a single channel (``out_channels=1``) gets a logit of 0 for its first class, and
    that of the second is shifted so that it is larger where mmseg finds its threshold exceeded.

    Args:
        model (nn.Module): mmseg's ``EncoderDecoder``, in evaluation mode, on the CPU.
    """

    def __init__(self, model: nn.Module):
        super().__init__()
        self.model = model

    def forward(self, image: Tensor) -> Tensor:
        """Predicts the logits.

        Args:
            image (Tensor): Normalised, float32 (1, C, H, W).

        Returns:
            Tensor: (1, num_classes, H, W).
        """
        logits = self.model.encode_decode(image, [dict(img_shape=image.shape[2:])])
        if self.model.out_channels > 1:
            return logits
        threshold = self.model.decode_head.threshold
        return torch.cat([torch.zeros_like(logits), logits - logit(threshold)], 1)


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
    if model.out_channels == 1 and not 0 < model.decode_head.threshold < 1:
        raise ValueError(
            'model.decode_head.threshold must be between 0 and 1 to export out_channels=1, got '
            f'{model.decode_head.threshold}'
        )


def logit(probability: float) -> float:
    """The inverse of the sigmoid."""
    return math.log(probability / (1 - probability))


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
            image = torch.zeros(1, input_channels(segmentor.model), *_EXAMPLE_SIZE)
            program = export(segmentor, (image,), dynamic_shapes={'image': sizes})
        except Exception as error:
            # Tracing runs the model's own code, which may raise anything.
            raise ValueError(f'the model cannot be traced: {one_line(error)}') from error
    node = next(n for n in program.graph.nodes if n.op == 'placeholder' and n.name == 'image')
    symbols = [side.node.expr for side in node.meta['val'].shape[2:]]
    return Traced(program, [int(program.range_constraints[symbol].lower) for symbol in symbols])
