"""What tasks have in common that give each pixel a class."""

import warnings
from collections.abc import Sequence
from typing import Any

import numpy as np
from mmengine.registry import VISUALIZERS
from mmengine.visualization import Visualizer

from ...engine.pictures import add_picture
from ...utils.text import printable
from ..comparisons import DifferenceMap
from ..label_maps import MIN_SCORE, compare_labels, label_map
from .task import Task


class TaskWithClasses(Task):
    """A task whose predictions are compared class by class, and drawn by the host's visualizer."""

    #: The host's visualizer.
    visualizer: str

    def complete_meta(self, meta: dict) -> dict:
        """Makes names printable, and colours at random if there are none."""
        classes = meta.get('classes')
        if not classes:
            raise ValueError('neither the checkpoint nor the config has the names of the classes')
        palette = meta.get('palette')
        if not isinstance(palette, (list, tuple)) or len(palette) < len(classes):
            palette = np.random.default_rng(0).integers(40, 256, (len(classes), 3)).tolist()
        classes = tuple(printable(str(name)) for name in classes)
        return dict(meta, classes=classes, palette=[tuple(map(int, rgb)) for rgb in palette])

    def check_alike(self, metas: Sequence[dict]) -> None:
        """Raises a ValueError unless all have the same classes."""
        if any(meta['classes'] != metas[0]['classes'] for meta in metas):
            raise ValueError('predictions: the models must have the same classes to be compared')

    def regions(self, prediction: Any, meta: dict) -> np.ndarray:
        """Class of each pixel, see ``label_map``."""
        return label_map(prediction, 'pred', len(meta['classes']))

    def draw(
        self, pixels: np.ndarray, truth: Any | None, predictions: dict[str, Any], meta: dict
    ) -> tuple[np.ndarray | None, list[np.ndarray]]:
        """Draws each by the host's visualizer."""
        truth = None if truth is None else self.comparable(truth, predictions)
        drawn = None if truth is None else self.draw_sample(truth, 'gt', pixels, meta)
        return drawn, [
            self.draw_sample(prediction, 'pred', pixels, meta)
            for prediction in predictions.values()
        ]

    def draw_sample(self, sample: Any, prefix: str, pixels: np.ndarray, meta: dict) -> np.ndarray:
        """Draws a prediction, or the ground truth, over its image.

        Args:
            sample (SegDataSample or DetDataSample): The data sample.
            prefix (str): Of the fields to draw, 'pred' or 'gt'.
            pixels (np.ndarray): The image, RGB, uint8 (H, W, 3).
            meta (dict): ``classes`` and ``palette``.

        Returns:
            np.ndarray: RGB, uint8, see ``draw``.
        """
        with warnings.catch_warnings():
            # Without backends it warns that it saves nothing.
            warnings.simplefilter('ignore')
            config = dict(type=self.visualizer, name=f'sapa_mm {self.visualizer}')
            visualizer = VISUALIZERS.build(config)
        options = self.prepare(visualizer)
        visualizer.dataset_meta = meta
        pixels, sample = self.resize(pixels, sample, prefix)
        options.update(draw_gt=prefix == 'gt', draw_pred=prefix == 'pred')
        add_picture(visualizer, pixels, sample, MIN_SCORE, **options)
        return visualizer.get_image()

    def prepare(self, visualizer: Visualizer) -> dict:
        """Sets up a visualizer, and returns arguments of its ``add_datasample``."""
        return {}

    def resize(self, pixels: np.ndarray, sample: Any, prefix: str) -> tuple[np.ndarray, Any]:
        """Gives image and sample the size in which they are drawn."""
        return pixels, sample

    def comparable(self, truth: Any, predictions: dict[str, Any]) -> Any:
        """Leaves out of the ground truth what the models do not predict."""
        return truth

    def compare(
        self, truth: Any | None, predictions: dict[str, Any], meta: dict
    ) -> DifferenceMap | None:
        """Compares the classes, see ``compare_labels``."""
        if truth is None and len(predictions) < 2:
            return None
        num_classes = len(meta['classes'])
        labels = {name: self.regions(sample, meta) for name, sample in predictions.items()}
        if truth is not None:
            truth = label_map(self.comparable(truth, predictions), 'gt', num_classes)
        return compare_labels(labels, truth)
