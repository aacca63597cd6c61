"""The figures by name: one at a time, or all that the models allow on one HTML page."""

import base64
import io
import os
from collections.abc import Iterator, Sequence

from matplotlib.figure import Figure

from ..upsamplers import IndexNet, PointUpsampler, WindowUpsampler
from ..utils.html_page import fill_page
from .features_figure import draw_features
from .input_image import InputImage
from .kernel_figure import draw_kernel
from .label_maps import boundary_near_centre
from .model_run import ModelRun
from .models import NamedModel
from .points_figure import draw_points_figure
from .predictions_figure import draw_predictions
from .upsamplers_figure import draw_upsamplers

#: Figures of one model, and of several.
OF_ONE_MODEL = ('features', 'kernel', 'points')
OF_MODELS = ('upsamplers', 'predictions')

_DPI = 100
# Of the sections of the page.
_TITLES_AND_TEXTS = {
    'predictions': (
        'Predictions',
        'The prediction of each model, and where the models differ from each other; where the '
        'ground truth is known, which of them are right (Figure 13 of the paper).',
    ),
    'upsamplers': (
        'Upsamplers side by side',
        'Input and output of the upsamplers on the path from coarse to fine, the mean of all '
        'channels (Figures 7 and 8).',
    ),
    'features': (
        'Features, stage by stage',
        'Each upsampler of the model in the order of their calls: low-res feature x, guide, '
        'output, and a map of its kernels. Effective points: the exponential of the entropy, '
        '1 where one point has all the weight (Figures 3, 7 and 8).',
    ),
    'kernel': (
        'A kernel',
        'The kernel of one position, and the weight of each of its taps over the whole image, at '
        "the tap's place in the window (Figure 5).",
    ),
    'points': (
        'Sampled points',
        'The points that the upsampled children of one low-res position sample, coloured by their '
        'weights within the group of channels (Figure 11).',
    ),
}


def draw(
    figure: str,
    image: InputImage,
    runs: Sequence[ModelRun],
    position: tuple[int, int] | None = None,
    upsampler: int = -1,
    channels: Sequence[int] = (),
) -> Figure:
    """Draws a figure.

    Args:
        figure (str): Its name.
        image (InputImage): The image.
        runs (Sequence[ModelRun]): Models run on it; one, for a figure of one model.
        position (tuple[int, int], optional): For 'kernel' and 'points', row and column of a pixel.
            Defaults to the border between two predicted classes nearest to the image's centre.
        upsampler (int): For 'kernel' and 'points', the index of the model's upsampler in the order
            of their calls. Defaults to -1, the last.
        channels (Sequence[int]): For 'features', the channels. Defaults to (), the mean of all.

    Returns:
        Figure: The figure.

    Raises:
        ValueError: If it cannot be drawn for these models.
    """
    if figure == 'upsamplers':
        return draw_upsamplers(image, runs)
    if figure == 'predictions':
        return draw_predictions(image, runs)
    (run,) = runs
    if figure == 'features':
        return draw_features(run.pixels, run.extent, run.upsampler_calls(), channels)
    if position is None:
        position = boundary_near_centre(run.labels)
    draw_one = {'kernel': draw_kernel, 'points': draw_points_figure}[figure]
    return draw_one(run, position, upsampler)


def make_gallery(
    image: InputImage, models: Sequence[NamedModel], runs: Sequence[ModelRun], **options
) -> str:
    """Draws all figures that the models allow on one page, which loads nothing else.

    Args:
        image (InputImage): The image.
        models (Sequence[NamedModel]): The models.
        runs (Sequence[ModelRun]): The models run on the image.
        **options: ``position``, ``upsampler`` and ``channels``, see :func:`draw`.

    Returns:
        str: The page.

    Raises:
        ValueError: If a figure cannot be drawn with these options.
    """
    sections = []
    for name, groups in _possible_figures(runs, options.get('upsampler', -1)):
        title, text = _TITLES_AND_TEXTS[name]
        figures = [
            dict(
                title=' and '.join(run.name for run in group),
                uri=_data_uri(draw(name, image, group, **options)),
            )
            for group in groups
        ]
        sections.append(dict(name=name, title=title, text=text, figures=figures))
    return fill_page(
        'sapa_mm.visualization',
        'gallery.html.jinja',
        image=os.path.basename(image.path),
        models=models,
        sections=sections,
    )


def _possible_figures(
    runs: Sequence[ModelRun], upsampler: int
) -> Iterator[tuple[str, list[list[ModelRun]]]]:
    """Yields the name of each figure that can be drawn, with groups of models to draw it of."""
    yield 'predictions', [list(runs)]
    recorded = [run for run in runs if run.calls]
    if not recorded:
        return
    yield 'upsamplers', [recorded]
    yield 'features', [[run] for run in recorded]
    for name, kinds in (('kernel', (WindowUpsampler, IndexNet)), ('points', PointUpsampler)):
        groups = [
            [run] for run in recorded if isinstance(run.upsampler_call(upsampler).upsampler, kinds)
        ]
        if groups:
            yield name, groups


def _data_uri(figure: Figure) -> str:
    file = io.BytesIO()
    figure.savefig(file, dpi=_DPI, format='png')
    return f'data:image/png;base64,{base64.b64encode(file.getvalue()).decode()}'
