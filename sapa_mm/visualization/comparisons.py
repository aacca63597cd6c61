"""Where predictions differ from the ground truth, or from each other, in colour."""

from dataclasses import dataclass

import numpy as np
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colors import Normalize
from matplotlib.figure import Figure
from matplotlib.patches import Patch

from ..engine.depth_colors import ERROR_COLORS, color_error, depth_limits
from .canvas import patches

BLACK, LIGHT, GREY, YELLOW = (0.0,) * 3, (0.93,) * 3, (0.6,) * 3, (0.94, 0.89, 0.26)
# Of the models; colour-blind readers can tell them apart too (Okabe and Ito).
_COLOURS = [(0, 114, 178), (213, 94, 0), (0, 158, 115), (204, 121, 167), (86, 180, 233)]


@dataclass(frozen=True)
class DifferenceMap:
    """Which of several cases, such as 'all right', holds at each pixel.

    Attributes:
        cases (np.ndarray): int (H, W), indices into ``names``.
        names (list[str]): Name of each case.
        colours (list[tuple[float, float, float]]): RGB colour of each case, 0 to 1.
        title (str): What it shows.
    """

    cases: np.ndarray
    names: list[str]
    colours: list[tuple[float, float, float]]
    title: str

    @property
    def picture(self) -> np.ndarray:
        """The colour of each pixel's case, RGB (H, W, 3), 0 to 1."""
        return np.array(self.colours)[self.cases]

    def handles(self) -> list[Patch]:
        """Makes a legend's handles for the cases that occur, with their share of the image."""
        shares = np.bincount(self.cases.ravel(), minlength=len(self.names)) / self.cases.size
        occurring = np.flatnonzero(shares)
        names = [f'{self.names[case]}: {shares[case]:.1%}' for case in occurring]
        return patches(names, [self.colours[case] for case in occurring])

    def explain(self, figure: Figure, axis: Axes) -> None:
        """Adds a legend of the cases to the figure."""
        place = dict(loc='outside right center', title=self.title)
        figure.legend(handles=self.handles(), fontsize=9, **place)


@dataclass(frozen=True)
class ErrorMap:
    """A difference at each pixel.

    Attributes:
        values (np.ndarray): Differences, 0 or more (H, W); NaN where there is none.
        title (str): What it shows.
        unit (str): What the values are, such as 'metres'.
    """

    values: np.ndarray
    title: str
    unit: str

    @property
    def high(self) -> float:
        """The difference of the last colour, as in the pictures of a test."""
        return depth_limits(self.values)[1]

    @property
    def picture(self) -> np.ndarray:
        """Each pixel's difference in colour, RGB, uint8 (H, W, 3)."""
        return color_error(self.values, self.high)

    def explain(self, figure: Figure, axis: Axes) -> None:
        """Adds a bar with the unit beside the panel that shows the picture."""
        add_bar(figure, axis, 0, self.high, ERROR_COLORS, self.unit)


def case_map(cases, shape: tuple[int, ...], title: str) -> DifferenceMap:
    """Makes a map of cases.

    Args:
        cases (Iterable): Condition, name and colour of each case. A condition is a bool or an
            array (H, W); a pixel belongs to the first case whose condition holds.
        shape (tuple[int, ...]): H and W.
        title (str): What it shows.

    Returns:
        DifferenceMap: The map.
    """
    conditions, names, colours = zip(*cases, strict=True)
    conditions = [np.broadcast_to(condition, shape) for condition in conditions]
    return DifferenceMap(np.argmax(conditions, axis=0), list(names), list(colours), title)


def model_colour(index: int) -> tuple[float, float, float]:
    """The colour of one of several models, RGB, 0 to 1."""
    return tuple(channel / 255 for channel in _COLOURS[index % len(_COLOURS)])


def add_bar(
    figure: Figure, axis: Axes, low: float, high: float, colors: str, unit: str = 'metres'
) -> None:
    """Adds a bar of colours beside a panel.

    Args:
        figure (Figure): The figure.
        axis (Axes): The panel.
        low (float): The value of the first colour.
        high (float): The value of the last colour.
        colors (str): matplotlib's name of the colours.
        unit (str): What the values are. Defaults to 'metres'.
    """
    scale = ScalarMappable(Normalize(low, high), colors)
    bar = figure.colorbar(scale, ax=axis, shrink=0.8)
    bar.ax.tick_params(labelsize=8)
    bar.set_label(unit, fontsize=9)
