"""What a model is for, told by its class; no host library is imported."""

import inspect

#: Tasks by the class that their models are, or are derived from.
_TASKS = {'EncoderDecoder': 'segmentation', 'DepthEstimator': 'depth', 'A2UMatting': 'matting'}


def model_task(model: object) -> str | None:
    """Tell the task of a model.

    Args:
        model (object): The model, or its class.

    Returns:
        str or None: 'segmentation' or 'depth' for models of mmseg, 'matting' for ``A2UMatting``;
        None for others, and for what is no class of a model.
    """
    kind = model if inspect.isclass(model) else type(model)
    # mmseg's depth estimators are derived from its segmentors: the nearest class counts.
    return next((_TASKS[base.__name__] for base in kind.__mro__ if base.__name__ in _TASKS), None)
