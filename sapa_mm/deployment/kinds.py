"""The kinds of models that can be exported."""

from torch import nn

from .depth_estimator import DepthEstimator
from .exported_model import ExportedModel
from .segmentor import Segmentor

#: What a model becomes, by the name of the class in its host that it is or derives from.
KINDS: dict[str, type[ExportedModel]] = {
    'EncoderDecoder': Segmentor,
    'DepthEstimator': DepthEstimator,
}


def wrap(model: nn.Module) -> ExportedModel:
    """Make a model what a file can hold.

    Args:
        model (nn.Module): The model, in evaluation mode, on the CPU.

    Returns:
        ExportedModel: That of its kind.

    Raises:
        ValueError: If it is of none, or cannot be exported, with the reason.
    """
    for base in type(model).__mro__:
        if base.__name__ in KINDS:
            return KINDS[base.__name__](model)
    raise ValueError(
        f'model: {type(model).__name__} cannot be exported: only segmentors and depth estimators '
        f'of mmseg ({", ".join(KINDS)}) can; the results of detectors have no fixed shape'
    )
