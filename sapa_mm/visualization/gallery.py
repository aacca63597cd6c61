"""All figures that models allow, as one HTML page with everything in it."""

import base64
import io
import os
from collections.abc import Iterator, Sequence

from matplotlib.figure import Figure

from ..upsamplers import IndexNet, PointUpsampler, WindowUpsampler
from ..utils.html_page import fill_page
from .figures import draw
from .models import NamedModel
from .observation import Observation
from .subject import Subject

_DPI = 100
_TEXTS = {
    'predictions': (
        'Predictions',
        'What each model predicts, and where the models differ from one another; where the truth '
        'is known, who is right (Figure 13 of the paper).',
    ),
    'upsamplers': (
        'Upsamplers side by side',
        'What comes into the upsamplers on the way from coarse to fine, and what each makes of it, '
        'the mean of all channels (Figures 7 and 8).',
    ),
    'features': (
        'Features, stage by stage',
        'Each upsampler of the model in the order of their calls: low-res feature x, guide, '
        'output, and what the kernels are like. Effective points: the exponential of the entropy, '
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


def make_gallery(
    subject: Subject,
    models: Sequence[NamedModel],
    observations: Sequence[Observation],
    position: tuple[int, int] | None = None,
    upsampler: int = -1,
    channels: Sequence[int] = (),
) -> str:
    """Draws all figures that models allow; the page needs no other file and no network.

    Args:
        subject (Subject): The image.
        models (Sequence[NamedModel]): The models.
        observations (Sequence[Observation]): The models on the image.
        position (tuple[int, int], optional): See :func:`.figures.draw`. Defaults to None.
        upsampler (int): See :func:`.figures.draw`. Defaults to the last.
        channels (Sequence[int]): See :func:`.figures.draw`. Defaults to the mean of all.

    Returns:
        str: The page.

    Raises:
        ValueError: If a figure cannot be drawn as the options say.
    """
    options = dict(position=position, upsampler=upsampler, channels=channels)
    sections = []
    for name, shown in _figures(observations, upsampler):
        title, text = _TEXTS[name]
        figures = [
            dict(
                title=' and '.join(observation.name for observation in some),
                uri=_data_uri(draw(name, subject, some, **options)),
            )
            for some in shown
        ]
        sections.append(dict(name=name, title=title, text=text, figures=figures))
    return fill_page(
        'sapa_mm.visualization',
        'gallery.html.jinja',
        image=os.path.basename(subject.path),
        models=models,
        sections=sections,
    )


def _figures(
    observations: Sequence[Observation], upsampler: int
) -> Iterator[tuple[str, list[list[Observation]]]]:
    """Figures that can be drawn, and of which models."""
    yield 'predictions', [list(observations)]
    seen = [observation for observation in observations if observation.calls]
    if not seen:
        return
    yield 'upsamplers', [seen]
    yield 'features', [[observation] for observation in seen]
    for name, kinds in (('kernel', (WindowUpsampler, IndexNet)), ('points', PointUpsampler)):
        able = [one for one in seen if isinstance(one.stage(upsampler).upsampler, kinds)]
        if able:
            yield name, [[observation] for observation in able]


def _data_uri(figure: Figure) -> str:
    file = io.BytesIO()
    figure.savefig(file, dpi=_DPI, format='png')
    return f'data:image/png;base64,{base64.b64encode(file.getvalue()).decode()}'
