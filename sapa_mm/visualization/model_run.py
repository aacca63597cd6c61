"""A model run on one image: its prediction, and the recorded calls of its upsamplers."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
import torch
from mmengine.dataset import pseudo_collate
from mmengine.structures import PixelData
from torch import Tensor, nn
from torch.nn.functional import interpolate

from ..engine.finite_scores_hook import check_scores
from ..matting.a2u_matting import STRIDE, A2UMatting
from ..upsamplers import Upsampler
from ..utils.text import one_line
from .canvas import Extent
from .tasks import Task, task_of


@dataclass(frozen=True)
class Call:
    """A call of an upsampler, with copies of its tensors, since later layers may change them.

    Attributes:
        name (str): The upsampler's name in the model.
        upsampler (Upsampler): The upsampler.
        x (Tensor): Low-res feature (N, C, h, w).
        guide (Tensor, optional): High-res feature (N, C', H, W).
        output (Tensor): (N, C, H, W).
    """

    name: str
    upsampler: Upsampler
    x: Tensor
    guide: Tensor | None
    output: Tensor


@dataclass(frozen=True)
class ModelRun:
    """A run of a model on an image.

    Attributes:
        name (str): Name of the model.
        pixels (np.ndarray): The image before the model's pipeline, RGB, uint8 (H, W, 3).
        extent (Extent): Extent of the feature maps.
        calls (list[Call]): The first call of each upsampler, in order; none if the model predicts
            the image in windows.
        remedy (str, optional): The setting that makes it predict the whole image, if it does not.
        prediction (BaseDataElement): The prediction, of the image's size.
        task (Task): What it is a prediction of.
        regions (np.ndarray): int (H, W), see ``Task.regions``: for most tasks each pixel's class.
        meta (dict): ``classes`` and ``palette``, where the task has classes.
    """

    name: str
    pixels: np.ndarray
    extent: Extent
    calls: list[Call]
    remedy: str | None
    prediction: Any
    task: Task
    regions: np.ndarray
    meta: dict

    @property
    def position(self) -> tuple[int, int]:
        """Row and column of a pixel that a kernel is drawn of by default, see ``Task.position``."""
        return self.task.position(self.prediction, self.regions)

    def upsampler_calls(self) -> list[Call]:
        """The calls.

        Raises:
            ValueError: If there are none.
        """
        if self.remedy:
            raise ValueError(
                f'{self.name} predicts window by window; {self.remedy} in `cfg_options` makes it '
                'predict the whole image'
            )
        if not self.calls:
            raise ValueError(
                f'{self.name} has no upsampler of sapa_mm to draw; heads and necks with '
                'upsample_cfg have'
            )
        return self.calls

    def upsampler_call(self, index: int) -> Call:
        """One of the calls; a negative index counts from the last.

        Raises:
            ValueError: If there is no such call.
        """
        calls = self.upsampler_calls()
        if not -len(calls) <= index < len(calls):
            raise ValueError(
                f'upsampler must be in 0..{len(calls) - 1}: {self.name} calls {len(calls)} '
                f'upsamplers, got {index}'
            )
        return calls[index]


def run_model(
    name: str, model: nn.Module, sample: dict, pixels: np.ndarray, meta: dict
) -> ModelRun:
    """Runs a model on one image and records the calls of its upsamplers.

    Args:
        name (str): Name of the model.
        model (nn.Module): A model of mmseg or mmdet, or for matting; left in evaluation mode.
        sample (dict): The image as the model's test pipeline prepares it.
        pixels (np.ndarray): The image before the pipeline, RGB, uint8 (H, W, 3).
        meta (dict): ``classes`` and ``palette``, where there are classes.

    Returns:
        ModelRun: Prediction and calls.

    Raises:
        ValueError: If the model cannot run on the image, its prediction cannot be drawn, or the
            names of its classes are missing.
    """
    model.eval()
    with explain_failure(name, pixels):
        prediction, calls, extent = predict_recorded(model, sample)
    check_scores([prediction])
    task = task_of(prediction)
    meta = task.complete_meta(meta)
    regions = task.regions(prediction, meta)
    remedy = _remedy_of_windows(model, prediction.img_shape)
    return ModelRun(name, pixels, extent, calls, remedy, prediction, task, regions, meta)


@torch.no_grad()
def predict_recorded(model: nn.Module, sample: dict) -> tuple[Any, list[Call], Extent]:
    """Predicts one image and records the calls of the upsamplers.

    Args:
        model (nn.Module): A model of mmseg or mmdet, in evaluation mode.
        sample (dict): The image as the test pipeline prepares it.

    Returns:
        tuple[BaseDataElement, list[Call], Extent]: The prediction, the first call of each
        upsampler in order (none if the model predicts the image in windows), and the extent of the
        feature maps.
    """
    batch = model.data_preprocessor(pseudo_collate([sample]), False)
    with record_calls(model) as calls:
        prediction = _predict(model, batch)
    # The pipeline resized the image, the model padded it.
    padded, resized = _padded_size(model, batch['inputs']), prediction.img_shape
    height, width = (
        original * side / part
        for original, side, part in zip(prediction.ori_shape[:2], padded, resized[:2], strict=True)
    )
    in_windows = _remedy_of_windows(model, resized) is not None
    return prediction, [] if in_windows else calls, (height, width)


def _padded_size(model: nn.Module, inputs: Tensor) -> list[int]:
    """Height and width of the area that feature maps cover."""
    # Matting models pad the batch themselves.
    stride = STRIDE if isinstance(model, A2UMatting) else 1
    return [-(-side // stride) * stride for side in inputs.shape[-2:]]


def _predict(model: nn.Module, batch: dict) -> Any:
    """Predicts one image as the model does.

    mmseg resizes the logits of all classes to the size of the image, which takes gigabytes for a
    photograph. Here they keep the size of the network's input.
    """
    if not _resizes_logits(model):
        return model(**batch, mode='predict')[0]
    (sample,) = batch['data_samples']
    size = sample.ori_shape[:2]
    sample.set_metainfo(dict(ori_shape=sample.img_shape[:2]))
    prediction = model(**batch, mode='predict')[0]
    prediction.set_metainfo(dict(ori_shape=size))
    labels = largest_logits(prediction.seg_logits.data, size, model.align_corners)
    prediction.pred_sem_seg = PixelData(data=labels[None])
    return prediction


def _resizes_logits(model: nn.Module) -> bool:
    """Tells whether a model is a segmentor of mmseg whose largest logit counts."""
    try:
        from mmseg.models import BaseSegmentor, EncoderDecoder
    except ImportError:
        return False
    resizes = getattr(type(model), 'postprocess_result', None) is BaseSegmentor.postprocess_result
    return resizes and isinstance(model, EncoderDecoder) and model.out_channels > 1


def largest_logits(logits: Tensor, size: Sequence[int], align_corners: bool) -> Tensor:
    """Finds the class of each pixel, given logits of another size, without resizing all at once.

    Args:
        logits (Tensor): (num_classes, h, w).
        size (Sequence[int]): H and W.
        align_corners (bool): See ``torch.nn.functional.interpolate``.

    Returns:
        Tensor: Labels, int64 (H, W): those of the largest bilinearly interpolated logit.
    """
    best = labels = None
    for label, channel in enumerate(logits):
        values = interpolate(
            channel[None, None], tuple(size), mode='bilinear', align_corners=align_corners
        )[0, 0]
        if best is None:
            best, labels = values, values.new_zeros(values.shape, dtype=torch.int64)
        else:
            labels[values > best] = label
            best = torch.maximum(best, values)
    return labels


@contextmanager
def explain_failure(name: str, pixels: np.ndarray) -> Iterator[None]:
    """Turns an error of a model or its pipeline into a line about the image.

    Args:
        name (str): Name of the model.
        pixels (np.ndarray): The image (H, W, 3).

    Raises:
        ValueError: In place of an error that an unsuitable image may cause.
    """
    try:
        yield
    except (RuntimeError, ValueError, IndexError, ZeroDivisionError, cv2.error) as error:
        height, width = pixels.shape[:2]
        reason = one_line(error).removeprefix('ValueError: ')
        raise ValueError(
            f'{name} cannot run on this image of {height} x {width} pixels: {reason}'
        ) from error


@contextmanager
def record_calls(model: nn.Module) -> Iterator[list[Call]]:
    """Records the first call of each of a model's upsamplers by temporary hooks.

    Test time augmentation, windows and tiles call them several times.

    Args:
        model (nn.Module): The model, or an upsampler.

    Yields:
        list[Call]: The calls so far, in order.
    """
    calls = []

    def recorder(name):
        def record(upsampler, inputs, named, output):
            if any(call.upsampler is upsampler for call in calls):
                return
            arguments = dict(zip(('x', 'guide'), inputs, strict=False), **named)
            x, guide = arguments['x'], arguments.get('guide')
            calls.append(Call(name, upsampler, *map(_copy, (x, guide, output))))

        return record

    handles = []
    try:
        for name, module in model.named_modules():
            if isinstance(module, Upsampler):
                handles.append(module.register_forward_hook(recorder(name), with_kwargs=True))
        yield calls
    finally:
        for handle in handles:
            handle.remove()


def _remedy_of_windows(model: nn.Module, size: Sequence[int]) -> str | None:
    """The setting that makes a model predict an image as a whole; None if it does."""
    if isinstance(model, A2UMatting):
        pixels = size[0] * size[1]
        return f'model.max_pixels={pixels}' if pixels > model.max_pixels else None
    mode = (getattr(model, 'test_cfg', None) or {}).get('mode') or ''
    return 'model.test_cfg.mode=whole' if mode.startswith('slide') else None


def _copy(tensor: Tensor | None) -> Tensor | None:
    return None if tensor is None else tensor.detach().clone()
