"""The kinds of models that can be exported."""

from torch import nn

from ..utils.tasks import model_task
from .depth_estimator import DepthEstimator
from .exported_model import ExportedModel
from .matting_model import MattingModel
from .segmentor import Segmentor

#: What a model becomes, by its task.
KINDS: dict[str | None, type[ExportedModel]] = {
    kind.task: kind for kind in (Segmentor, DepthEstimator, MattingModel)
}


def wrap(model: nn.Module) -> ExportedModel:
    """Make a model what a file can hold.

    Args:
        model (nn.Module): The model, in evaluation mode, on the CPU.

    Returns:
        ExportedModel: That of its task.

    Raises:
        ValueError: If its task has none, or it cannot be exported, with the reason.
    """
    kind = KINDS.get(model_task(model))
    if kind is None:
        raise ValueError(
            f'model: {type(model).__name__} cannot be exported: only segmentors and depth '
            'estimators of mmseg (EncoderDecoder, DepthEstimator) and A2UMatting can; the results '
            'of detectors have no fixed shape'
        )
    return kind(model)
