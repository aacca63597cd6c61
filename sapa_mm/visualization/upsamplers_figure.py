"""Figures 7 and 8: input and output of the upsamplers of several models, side by side."""

from collections.abc import Sequence
from itertools import pairwise

from matplotlib.figure import Figure

from .canvas import feature_picture, format_size, grid, name_row, panel_height, show, show_map
from .input_image import InputImage
from .model_run import Call, ModelRun

_WIDTH = 2.4


def draw_upsamplers(image: InputImage, runs: Sequence[ModelRun]) -> Figure:
    """Draws input and output of the upsamplers, and the prediction, a row for each model.

    The upsamplers are those on the first path from coarse to fine: the first three of SegFormer,
    all of a feature pyramid. An input is drawn only if it is not the previous output.

    Args:
        image (InputImage): The image.
        runs (Sequence[ModelRun]): The models run on it.

    Returns:
        Figure: The figure; feature maps are means over channels, each scaled from its minimum to
        its maximum.

    Raises:
        ValueError: If a model has no upsamplers.
    """
    rows = [_features(_coarse_to_fine(run.upsampler_calls())) for run in runs]
    longest = max(map(len, rows))
    figure, axes = grid(len(rows), 2 + longest, _WIDTH, panel_height(image.pixels, _WIDTH))
    show(axes[0, 0], image.pixels, 'image')
    task, samples = runs[0].task, (image.truth, {run.name: run.prediction for run in runs})
    truth, drawn = task.draw(image.pixels, *samples, runs[0].meta)
    for panels, features, run, picture in zip(axes, rows, runs, drawn, strict=True):
        # Interpolation in a single step has fewer maps; its output goes below the others' last.
        feature_panels = [*panels[1 : len(features)], panels[longest]]
        for axis, (title, feature) in zip(feature_panels, features, strict=True):
            show_map(axis, feature_picture(feature), run.extent, image.pixels.shape, title)
        show(panels[-1], picture, 'prediction')
        name_row(panels[1], run.name)
    if truth is not None and len(rows) > 1:
        show(axes[1, 0], truth, 'ground truth')
    task.add_color_bar(figure, axes[0, -1], *samples)
    return figure


def _coarse_to_fine(calls: Sequence[Call]) -> list[Call]:
    """The first calls, up to one whose input differs in size from the previous output."""
    path = [calls[0]]
    for call, following in pairwise(calls):
        if following.x.shape[2:] != call.output.shape[2:]:
            break
        path.append(following)
    return path


def _features(calls: Sequence[Call]) -> list[tuple]:
    """Titles and feature maps of the panels."""
    features, before = [], None
    for number, call in enumerate(calls, 1):
        if before is None or not before.equal(call.x):
            features.append((f'input {number}, {format_size(call.x.shape[2:])}', call.x))
        features.append((f'output {number}, {format_size(call.output.shape[2:])}', call.output))
        before = call.output
    return features
