"""What a file holds: a model from a normalised image to a map of its size, one class a task."""

from abc import abstractmethod
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import torch
from torch import Tensor, nn

from ..engine.images import input_channels

#: Largest share of the pixels of all images that may mean another thing, such as another class.
MAX_DIFFERENT_PIXELS = 1e-4


@dataclass(frozen=True)
class Difference:
    """What a file computes beside what its model does, on one image.

    Attributes:
        cells (tuple[str, ...]): The numbers, as a table shows them.
        is_close (bool): Whether the values are close; NaN never is.
        different_pixels (float): Share of the pixels that mean another thing. Defaults to 0.
    """

    cells: tuple[str, ...]
    is_close: bool
    different_pixels: float = 0.0


class ExportedModel(nn.Module):
    """A model as a module from a normalised image to a map of the image's size.

    ``forward`` takes the ``inputs``, of which the first is the image, float32 (1, C, H, W), and
    returns the map (1, channels of the map, H, W).

    Attributes:
        task (str): Name of the task, in the file's metadata.
        inputs (tuple[str, ...]): Names of the inputs, in the graph. Defaults to ('image',).
        output (str): Name of the map, in the graph.
        columns (tuple[str, ...]): What the cells of a ``Difference`` are.
        tolerance (str): How much may differ, for a message.

    Args:
        model (nn.Module): The model, in evaluation mode, on the CPU.

    Raises:
        ValueError: If it cannot be exported, with the reason.
    """

    task: ClassVar[str]
    inputs: ClassVar[tuple[str, ...]] = ('image',)
    output: ClassVar[str]
    columns: ClassVar[tuple[str, ...]]
    tolerance: ClassVar[str]

    def __init__(self, model: nn.Module):
        super().__init__()
        self.model = model

    @property
    def channels(self) -> int:
        """Channels of the image."""
        return input_channels(self.model)

    def example(self, height: int, width: int) -> tuple[Tensor, ...]:
        """Make inputs of a size.

        Args:
            height (int): Their height.
            width (int): Their width.

        Returns:
            tuple[Tensor, ...]: One for each of ``inputs``.
        """
        return (torch.zeros(1, self.channels, height, width),)

    def prepare(self, batch: dict) -> tuple[np.ndarray, ...]:
        """Take the inputs from a batch.

        Args:
            batch (dict): What the data preprocessor makes of one image.

        Returns:
            tuple[np.ndarray, ...]: One (C, H, W) for each of ``inputs``.
        """
        return (batch['inputs'][0].numpy(),)

    @abstractmethod
    def metadata(self, meta: dict) -> dict[str, Any]:
        """Describe the map.

        Args:
            meta (dict): What the checkpoint or the config says of the data set.

        Returns:
            dict: What JSON can hold, by name.
        """

    @abstractmethod
    def compare(self, found: np.ndarray, expected: np.ndarray) -> Difference:
        """Compare maps (1, channels, H, W).

        Args:
            found (np.ndarray): That of a file.
            expected (np.ndarray): That of the model.

        Returns:
            Difference: The difference.
        """


def check_mode(model: nn.Module, *modes: str) -> str:
    """Check that a model is tested on whole images.

    Args:
        model (nn.Module): A model of mmseg.
        *modes (str): Values of ``test_cfg.mode`` that can be exported.

    Returns:
        str: Its mode.

    Raises:
        ValueError: If it has another.
    """
    mode = (model.test_cfg or {}).get('mode', 'whole')
    if mode not in modes:
        raise ValueError(
            f'model.test_cfg.mode={mode!r} cannot be exported: the file holds the network, which '
            f'takes a whole image; test with mode={" or ".join(map(repr, modes))}, or cut windows '
            'around it yourself'
        )
    return mode
