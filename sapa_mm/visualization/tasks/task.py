"""What the figures need to know of a task."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from ..comparisons import DifferenceMap, ErrorMap
from ..label_maps import boundary_near_centre

# A panel of a figure has fewer pixels, and a photograph takes gigabytes to colour.
_MAX_SIDE = 2048


class Task(ABC):
    """How predictions and ground truth of a task are read, drawn and compared.

    Both are data samples, such as mmseg's. Several predictions are given by the models' names.
    """

    #: What is drawn, for messages.
    drawn: str
    #: Fields of data samples, after ``pred_`` of a prediction and ``gt_`` of the ground truth.
    fields: tuple[str, ...]
    #: Key of the file with the ground truth, in a dataset's ``data_prefix`` and in the information
    #: of an image; None if the ground truth is not a file of its own.
    truth_key: str | None = None
    #: What the borders of regions are, for titles.
    borders = 'predicted borders'

    def predicts(self, prediction: Any) -> bool:
        """Tells whether a prediction is one of this task."""
        return any(f'pred_{field}' in prediction for field in self.fields)

    def has_truth(self, info: dict) -> bool:
        """Tells whether a dataset's information of an image names a ground truth of this task."""
        return bool(info.get(self.truth_key))

    def truth_steps(self, pipeline: Sequence[dict]) -> list[dict]:
        """Chooses the steps of a dataset's pipeline that ``read_truth`` needs; none by default."""
        return []

    @abstractmethod
    def read_truth(
        self, info: dict, size: tuple[int, int], num_classes: int, load: Callable[[], dict]
    ) -> Any:
        """Reads the ground truth of an image.

        Args:
            info (dict): The dataset's information of the image.
            size (tuple[int, int]): Height and width of the image.
            num_classes (int): Number of classes of the dataset.
            load (Callable): Runs the dataset's pipeline, which has the ``truth_steps``, on the
                image.

        Returns:
            BaseDataElement: With ``gt_`` fields of the image's size.

        Raises:
            FileNotFoundError: If a file is missing.
            ValueError: If a file cannot be read, or has another size than the image.
        """

    def complete_meta(self, meta: dict) -> dict:
        """Adds what drawing needs to a dataset's ``classes`` and ``palette``.

        Raises:
            ValueError: If something is missing.
        """
        return meta

    def check_alike(self, metas: Sequence[dict]) -> None:
        """Raises a ValueError unless models, given by their ``meta``, can be compared."""
        return

    @abstractmethod
    def regions(self, prediction: Any, meta: dict) -> np.ndarray:
        """Divides the image by the prediction: int (H, W), one number for each region."""

    def position(self, prediction: Any, regions: np.ndarray) -> tuple[int, int]:
        """Chooses row and column of a pixel at a border near the middle of the image."""
        return boundary_near_centre(regions)

    def inputs(self, pixels: np.ndarray, prediction: Any) -> list[tuple[str, np.ndarray]]:
        """Draws what a model was given beside the image, with titles; nothing by default."""
        return []

    @abstractmethod
    def draw(
        self, pixels: np.ndarray, truth: Any | None, predictions: dict[str, Any], meta: dict
    ) -> tuple[np.ndarray | None, list[np.ndarray]]:
        """Draws ground truth and predictions.

        Args:
            pixels (np.ndarray): The image, RGB, uint8 (H, W, 3).
            truth (BaseDataElement, optional): The ground truth.
            predictions (dict[str, BaseDataElement]): By the models' names.
            meta (dict): See ``complete_meta``.

        Returns:
            tuple[np.ndarray | None, list[np.ndarray]]: RGB, uint8, of the image's shape or, where
            lines are drawn or the image is large, enlarged or reduced by a whole factor.
        """

    @abstractmethod
    def compare(
        self, truth: Any | None, predictions: dict[str, Any], meta: dict
    ) -> DifferenceMap | ErrorMap | None:
        """Compares predictions with the ground truth if known, otherwise with each other.

        The arguments are those of ``draw``.

        Returns:
            DifferenceMap | ErrorMap | None: None for a single model without a ground truth.
        """

    def add_color_bar(
        self, figure: Figure, axis: Axes, truth: Any | None, predictions: dict[str, Any]
    ) -> None:
        """Explains the colours of ``draw`` by a bar beside a panel, where they are a scale."""
        return

    def add_legend(
        self, figure: Figure, truth: Any | None, predictions: dict[str, Any], meta: dict
    ) -> None:
        """Explains the colours of ``draw`` by a legend of the figure, where they need one."""
        return


def thinning(pixels: np.ndarray) -> slice:
    """Chooses every n-th row and column of a large image (H, W, 3)."""
    return slice(None, None, -(-max(pixels.shape[:2]) // _MAX_SIDE))


def check_size(path: str, found: Sequence[int], size: Sequence[int]) -> None:
    """Raises a ValueError unless an annotation has height and width of its image."""
    if tuple(found) != tuple(size):
        raise ValueError(
            '{} has {} x {} pixels, its image has {} x {} (height x width)'.format(
                path, *found, *size
            )
        )
