"""The figures by name: one of them, or a gallery of all that can be drawn of the models."""

import base64
import io
import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import matplotlib
from matplotlib.figure import Figure

from ..upsamplers import IndexNet, PointUpsampler, WindowUpsampler
from ..utils.text import fill_page
from .features_figure import draw_features_figure
from .input_image import InputImage
from .kernel_figure import draw_kernel
from .model_run import ModelRun
from .models import NamedModel
from .points_figure import draw_points_figure
from .predictions_figure import draw_predictions
from .upsamplers_figure import draw_upsamplers

_DPI = 100


@dataclass(frozen=True)
class FigureKind:
    """A figure that can be drawn.

    Attributes:
        draw (Callable): ``draw(run, **options)`` for one model, otherwise ``draw(image, runs)``.
        title (str): Its heading in the gallery.
        text (str): Its explanation in the gallery.
        of_one_model (bool): Whether it is a figure of one model. Defaults to False.
        options (tuple[str, ...]): Names of its options. Defaults to none.
    """

    draw: Callable[..., Figure]
    title: str
    text: str
    of_one_model: bool = False
    options: tuple[str, ...] = ()


#: The figures by name, in the order of the gallery.
FIGURES = {
    'predictions': FigureKind(
        draw_predictions,
        'Predictions',
        'The prediction of each model, and where the models differ from each other; where the '
        'ground truth is known, which are right, or nearest to it (Figure 13 of the paper).',
    ),
    'upsamplers': FigureKind(
        draw_upsamplers,
        'Upsamplers side by side',
        'Input and output of the upsamplers on the path from coarse to fine, the mean of all '
        'channels (Figures 7 and 8).',
    ),
    'features': FigureKind(
        draw_features_figure,
        'Features, stage by stage',
        'Each upsampler of the model in the order of their calls: low-res feature x, guide, '
        'output, and a map of its kernels. Effective points: the exponential of the entropy, '
        '1 where one point has all the weight (Figures 3, 7 and 8).',
        of_one_model=True,
        options=('channels',),
    ),
    'kernel': FigureKind(
        draw_kernel,
        'A kernel',
        'The kernel of one position, and the weight of each of its taps over the whole image, at '
        "the tap's place in the window (Figure 5).",
        of_one_model=True,
        options=('position', 'upsampler'),
    ),
    'points': FigureKind(
        draw_points_figure,
        'Sampled points',
        'The points that the upsampled children of one low-res position sample, coloured by their '
        'weights within the group of channels (Figure 11).',
        of_one_model=True,
        options=('position', 'upsampler'),
    ),
}


# Names of classes, modules and files are not formulas.
@matplotlib.rc_context({'text.parse_math': False})
def draw(figure: str, image: InputImage, runs: Sequence[ModelRun], **options) -> Figure:
    """Draws a figure.

    Args:
        figure (str): Its name, one of FIGURES.
        image (InputImage): The image.
        runs (Sequence[ModelRun]): Models run on it; only one for a figure of one model.
        **options: The figure's options. ``position``: row and column of a pixel, by default on the
            border between two predicted classes nearest to the image's centre, or at the largest
            step of predicted depth or alpha. ``upsampler``: index of the upsampler in the order of
            calls, by default the last. ``channels``: single channels to draw, by default their
            mean.

    Returns:
        Figure: The figure.

    Raises:
        ValueError: If it cannot be drawn of these models.
    """
    kind = FIGURES[figure]
    return kind.draw(*runs, **options) if kind.of_one_model else kind.draw(image, runs)


def make_gallery(
    image: InputImage, models: Sequence[NamedModel], runs: Sequence[ModelRun], **options
) -> str:
    """Draws all figures that are possible for the models on one self-contained page.

    Args:
        image (InputImage): The image.
        models (Sequence[NamedModel]): The models.
        runs (Sequence[ModelRun]): The models run on the image.
        **options: Options of any figure, see ``draw``.

    Returns:
        str: The page.

    Raises:
        ValueError: If a figure cannot be drawn with these options.
    """
    sections = []
    for name, groups in _possible_figures(runs, options.get('upsampler', -1)):
        kind = FIGURES[name]
        own = {option: options[option] for option in options.keys() & kind.options}
        figures = [
            dict(
                title=' and '.join(run.name for run in group),
                uri=_data_uri(draw(name, image, group, **own)),
            )
            for group in groups
        ]
        sections.append(dict(name=name, title=kind.title, text=kind.text, figures=figures))
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
    """Yields the name of each possible figure, with the groups of models to draw it of."""
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
