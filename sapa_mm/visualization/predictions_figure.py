"""Figure 13: what several models predict, and where they differ."""

from collections.abc import Sequence

import numpy as np
from matplotlib.figure import Figure
from matplotlib.patches import Patch

from .canvas import grid, panel_height, patches, show
from .detection_truth import truth_like
from .difference import Difference, compare_labels
from .drawn_samples import draw_sample, is_semantic
from .label_maps import label_map
from .observation import Observation
from .subject import Subject

_WIDTH = 3.4
_MOST_COLUMNS = 5
_MOST_CLASSES = 20


def draw_predictions(subject: Subject, observations: Sequence[Observation]) -> Figure:
    """Draws an image, its truth where that is known, predictions, and where these differ.

    Args:
        subject (Subject): The image.
        observations (Sequence[Observation]): The models on it.

    Returns:
        Figure: The figure.

    Raises:
        ValueError: If the models do not have the same classes.
    """
    classes = [observation.meta['classes'] for observation in observations]
    if any(other != classes[0] for other in classes):
        raise ValueError('predictions: the models must have the same classes to be compared')
    panels = prediction_panels(subject, observations)
    difference = find_difference(subject, observations)
    if difference is not None:
        several = len(observations) > 1
        panels.append(('where they differ' if several else 'where it is right', difference.picture))
    rows = -(-len(panels) // _MOST_COLUMNS)
    columns = -(-len(panels) // rows)
    figure, axes = grid(rows, columns, _WIDTH, panel_height(subject.image, _WIDTH))
    for axis, (title, picture) in zip(axes.flat, panels, strict=False):
        show(axis, picture, title)
        axis.title.set_fontsize(11)
    if difference is not None:
        handles = case_patches(difference)
        title = panels[-1][0]
        figure.legend(handles=handles, loc='outside right center', title=title, fontsize=9)
    # The visualizer of mmdet writes names into the picture.
    if is_semantic(observations[0].prediction):
        _add_class_legend(figure, subject, observations)
    return figure


def prediction_panels(
    subject: Subject, observations: Sequence[Observation]
) -> list[tuple[str, np.ndarray]]:
    """Titles and pictures: the image, its truth where that is known, and each prediction.

    Args:
        subject (Subject): The image.
        observations (Sequence[Observation]): The models on it.

    Returns:
        list[tuple[str, np.ndarray]]: The panels, drawn by the visualizers of mmseg or mmdet.
    """
    panels = [('image', subject.image)]
    if subject.truth is not None:
        first = observations[0]
        truth = truth_like(subject.truth, first.prediction)
        panels.append(('ground truth', draw_sample(truth, 'gt', subject.image, first.meta)))
    for observation in observations:
        drawn = draw_sample(observation.prediction, 'pred', subject.image, observation.meta)
        panels.append((observation.name, drawn))
    return panels


def find_difference(subject: Subject, observations: Sequence[Observation]) -> Difference | None:
    """Where predictions differ from one another and, where it is known, from the truth.

    Args:
        subject (Subject): The image.
        observations (Sequence[Observation]): The models on it.

    Returns:
        Difference | None: See :func:`.difference.compare_labels`; None for a single model without
        a truth.
    """
    truth = None
    if subject.truth is not None:
        first = observations[0]
        truth = truth_like(subject.truth, first.prediction)
        truth = label_map(truth, 'gt', len(first.meta['classes']))
    elif len(observations) < 2:
        return None
    labels = {observation.name: observation.labels for observation in observations}
    return compare_labels(labels, truth)


def case_patches(difference: Difference) -> list[Patch]:
    """A legend's handles for the cases that occur, with their share of the image."""
    shares = np.bincount(difference.cases.ravel(), minlength=len(difference.names))
    shares = shares / difference.cases.size
    occurring = np.flatnonzero(shares)
    names = [f'{difference.names[case]}: {shares[case]:.1%}' for case in occurring]
    return patches(names, [difference.colours[case] for case in occurring])


def _add_class_legend(
    figure: Figure, subject: Subject, observations: Sequence[Observation]
) -> None:
    """The largest classes of semantic maps, below the figure."""
    meta = observations[0].meta
    maps = [observation.labels for observation in observations]
    if subject.truth is not None:
        maps.append(label_map(subject.truth, 'gt', len(meta['classes'])))
    labels = np.concatenate([one.ravel() for one in maps])
    counts = np.bincount(labels[labels >= 0], minlength=len(meta['classes']))
    largest = [label for label in np.argsort(-counts)[:_MOST_CLASSES] if counts[label]]
    handles = patches(
        [meta['classes'][label] for label in largest],
        [np.array(meta['palette'][label]) / 255 for label in largest],
    )
    columns = min(len(handles), int(figure.get_figwidth() // 1.2))
    place = dict(loc='outside lower center', ncols=columns)
    figure.legend(handles=handles, **place, fontsize=8, frameon=False)
