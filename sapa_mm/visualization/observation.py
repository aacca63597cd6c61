"""A model at work on one image: what it predicts, and what its upsamplers do."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
import torch
from mmengine.dataset import pseudo_collate
from torch import nn

from .geometry import Extent, by
from .label_maps import label_map
from .recording import Call, first_calls, record_calls


@dataclass(frozen=True)
class Observation:
    """What was seen.

    Attributes:
        name (str): What the model is called.
        image (np.ndarray): RGB, uint8 (H, W, 3), as it was before the model's pipeline.
        extent (Extent): What feature maps cover, in pixels of the image.
        calls (list[Call]): The first call of each upsampler, in their order; none of a model that
            looks at windows of the image one after another.
        slides (bool): Whether it does that.
        prediction (SegDataSample or DetDataSample): The model's, of the image's size.
        labels (np.ndarray): Class of each pixel, see :func:`.label_maps.label_map`.
        meta (dict): ``classes`` and ``palette``.
    """

    name: str
    image: np.ndarray
    extent: Extent
    calls: list[Call]
    slides: bool
    prediction: Any
    labels: np.ndarray
    meta: dict

    def stages(self) -> list[Call]:
        """The calls.

        Raises:
            ValueError: If there are none.
        """
        if self.slides:
            raise ValueError(
                f'{self.name} predicts window by window; `cfg_options` '
                'model.test_cfg.mode=whole makes it look at the whole image'
            )
        if not self.calls:
            raise ValueError(
                f'{self.name} has no upsampler of sapa_mm to look at; a head or neck with '
                'upsample_cfg has'
            )
        return self.calls

    def stage(self, index: int) -> Call:
        """One of the calls; a negative index counts from the last.

        Raises:
            ValueError: If there is none such.
        """
        stages = self.stages()
        if not -len(stages) <= index < len(stages):
            raise ValueError(
                f'upsampler must be in 0..{len(stages) - 1}: {self.name} calls '
                f'{len(stages)} upsamplers, got {index}'
            )
        return stages[index]


def observe(
    name: str, model: nn.Module, sample: dict, image: np.ndarray, meta: dict
) -> Observation:
    """Runs a model on one image and records its upsamplers.

    Args:
        name (str): What the model is called.
        model (nn.Module): A model of mmseg or mmdet; it is in evaluation mode afterwards.
        sample (dict): The image as the model's test pipeline prepares it.
        image (np.ndarray): The image as it is, RGB, uint8 (H, W, 3).
        meta (dict): ``classes`` and ``palette``.

    Returns:
        Observation: What was seen.

    Raises:
        ValueError: If the model cannot run on the image, or predicts what cannot be drawn.
    """
    model.eval()
    with explain_failure(name, image):
        prediction, calls, extent = run_recorded(model, sample)
    labels = label_map(prediction, 'pred', len(meta['classes']))
    return Observation(name, image, extent, calls, slides(model), prediction, labels, meta)


@torch.no_grad()
def run_recorded(model: nn.Module, sample: dict) -> tuple[Any, list[Call], Extent]:
    """Runs a model on one image.

    Args:
        model (nn.Module): A model of mmseg or mmdet, in evaluation mode.
        sample (dict): The image as the test pipeline prepares it.

    Returns:
        tuple[SegDataSample or DetDataSample, list[Call], Extent]: The prediction, the first call
        of each upsampler in their order (none of a model that slides), and what feature maps
        cover, in pixels of the image.
    """
    batch = model.data_preprocessor(pseudo_collate([sample]), False)
    with record_calls(model) as calls:
        prediction = model(**batch, mode='predict')[0]
    # The pipeline resized the image, the model padded it.
    padded, resized = batch['inputs'].shape[-2:], prediction.img_shape
    height, width = (
        whole * side / part
        for whole, side, part in zip(prediction.ori_shape[:2], padded, resized[:2], strict=True)
    )
    return prediction, [] if slides(model) else first_calls(calls), (height, width)


def slides(model: nn.Module) -> bool:
    """Tells whether a model of mmseg predicts an image window by window."""
    return (getattr(model, 'test_cfg', None) or {}).get('mode') == 'slide'


@contextmanager
def explain_failure(name: str, image: np.ndarray) -> Iterator[None]:
    """Makes one line of what goes wrong when a model, or its pipeline, runs on an image.

    Args:
        name (str): What the model is called.
        image (np.ndarray): The image.

    Raises:
        ValueError: If anything goes wrong that an unsuitable image may cause.
    """
    try:
        yield
    except (RuntimeError, ValueError, IndexError, ZeroDivisionError, cv2.error) as error:
        reason = str(error).strip().partition('\n')[0]
        raise ValueError(
            f'{name} cannot run on this image of {by(image.shape[:2])} pixels: {reason}'
        ) from error
