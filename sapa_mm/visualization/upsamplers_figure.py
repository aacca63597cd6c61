"""Figures 7 and 8: decoder input against output, several models side by side."""

from collections.abc import Sequence
from itertools import pairwise

from matplotlib.figure import Figure

from .canvas import feature_picture, grid, name_row, panel_height, show, show_map
from .drawn_samples import draw_sample
from .geometry import by
from .observation import Observation
from .recording import Call
from .subject import Subject

_WIDTH = 2.4


def draw_upsamplers(subject: Subject, observations: Sequence[Observation]) -> Figure:
    """Draws what comes into the upsamplers, what each makes of it, and the prediction.

    A row for each model, along the first way from coarse to fine: SegFormer's first three
    upsamplers, all of a pyramid's. A stage's input is drawn where it is not the output before.

    Args:
        subject (Subject): The image.
        observations (Sequence[Observation]): The models on it.

    Returns:
        Figure: The figure; feature maps are means over channels, each from its least to its most.

    Raises:
        ValueError: If a model has no upsamplers.
    """
    rows = [_features(first_way(observation.stages())) for observation in observations]
    most = max(map(len, rows))
    figure, axes = grid(len(rows), 2 + most, _WIDTH, panel_height(subject.image, _WIDTH))
    show(axes[0, 0], subject.image, 'image')
    for panels, features, observation in zip(axes, rows, observations, strict=True):
        # An interpolation in a single step has fewer: its output stands below the others' last.
        places = [*panels[1 : len(features)], panels[most]]
        for axis, (title, feature) in zip(places, features, strict=True):
            picture = feature_picture(feature)
            show_map(axis, picture, observation.extent, subject.image.shape, title)
        drawn = draw_sample(observation.prediction, 'pred', subject.image, observation.meta)
        show(panels[-1], drawn, 'prediction')
        name_row(panels[1], observation.name)
    if subject.truth is not None and len(rows) > 1:
        meta = observations[0].meta
        show(axes[1, 0], draw_sample(subject.truth, 'gt', subject.image, meta), 'ground truth')
    return figure


def first_way(calls: Sequence[Call]) -> list[Call]:
    """The first calls of which each takes on where the one before ended, by the size of the map."""
    way = [calls[0]]
    for call, following in pairwise(calls):
        if following.x.shape[2:] != call.output.shape[2:]:
            break
        way.append(following)
    return way


def _features(calls: Sequence[Call]) -> list[tuple]:
    """Titles and maps."""
    features, before = [], None
    for number, call in enumerate(calls, 1):
        if before is None or not before.equal(call.x):
            features.append((f'input {number}, {by(call.x.shape[2:])}', call.x))
        features.append((f'output {number}, {by(call.output.shape[2:])}', call.output))
        before = call.output
    return features
