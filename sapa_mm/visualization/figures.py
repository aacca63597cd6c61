"""The figures by name, with the defaults of their options."""

from collections.abc import Sequence

from matplotlib.figure import Figure

from .features import draw_features
from .geometry import boundary_near_centre
from .kernel_figure import draw_kernel
from .observation import Observation
from .points_figure import draw_points_figure
from .predictions_figure import draw_predictions
from .subject import Subject
from .upsamplers_figure import draw_upsamplers

#: Figures of one model, and of several.
OF_ONE_MODEL = ('features', 'kernel', 'points')
OF_MODELS = ('upsamplers', 'predictions')


def draw(
    figure: str,
    subject: Subject,
    observations: Sequence[Observation],
    position: tuple[int, int] | None = None,
    upsampler: int = -1,
    channels: Sequence[int] = (),
) -> Figure:
    """Draws a figure.

    Args:
        figure (str): Its name.
        subject (Subject): The image.
        observations (Sequence[Observation]): Models on it; one, for a figure of one model.
        position (tuple[int, int], optional): For 'kernel' and 'points', row and column of a pixel.
            Defaults to the border between two predicted classes nearest to the image's centre.
        upsampler (int): For 'kernel' and 'points', which upsampler of the model, in the order of
            their calls. Defaults to the last.
        channels (Sequence[int]): For 'features', the channels. Defaults to the mean of all.

    Returns:
        Figure: The figure.

    Raises:
        ValueError: If it cannot be drawn of these models.
    """
    if figure == 'upsamplers':
        return draw_upsamplers(subject, observations)
    if figure == 'predictions':
        return draw_predictions(subject, observations)
    (observation,) = observations
    if figure == 'features':
        calls = observation.stages()
        return draw_features(observation.image, observation.extent, calls, channels)
    if position is None:
        position = boundary_near_centre(observation.labels)
    draw_one = {'kernel': draw_kernel, 'points': draw_points_figure}[figure]
    return draw_one(observation, position, upsampler)
