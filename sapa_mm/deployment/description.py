"""The metadata of an exported file: its classes, and how to prepare an image for it."""

import json
from dataclasses import asdict, dataclass

from mmengine.config import Config
from torch import nn

from .. import __version__
from ..engine.images import image_pipeline
from ..utils.configs import type_name


@dataclass(frozen=True)
class Description:
    """How to use an exported segmentor.

    Attributes:
        classes (list[str]): Names of the classes.
        palette (list[list[int]]): Their colours, RGB; may be empty.
        mean (list[float]): Mean of each channel, for pixels of 0 to 255, in the order ``channels``.
        std (list[float]): Standard deviation of each channel, likewise.
        channels (str): Order of the channels, 'rgb' or 'bgr'.
        resize (list[dict]): Steps that compute the size to resize an image to. Each has ``scale``
            and ``keep_ratio`` (fit into long and short side, or resize to width and height),
            ``scale_factor``, or ``multiple_of`` (round each side up).
    """

    classes: list[str]
    palette: list[list[int]]
    mean: list[float]
    std: list[float]
    channels: str
    resize: list[dict]

    def as_metadata(self) -> dict[str, str]:
        """Return texts by name, as JSON but for the version."""
        fields = {name: json.dumps(value) for name, value in asdict(self).items()}
        return {'sapa_mm': __version__, **fields}


def describe(cfg: Config, model: nn.Module, meta: dict) -> Description:
    """Describes a segmentor of mmseg.

    Args:
        cfg (Config): Its config.
        model (nn.Module): The model.
        meta (dict): Classes and palette.

    Returns:
        Description: The description.

    Raises:
        ValueError: If the config prepares images in a way that cannot be described.
    """
    preprocessor = model.data_preprocessor
    if getattr(preprocessor, 'test_cfg', None):
        raise ValueError(
            f'data_preprocessor.test_cfg={dict(preprocessor.test_cfg)} pads images: not exported; '
            'resize them in the test pipeline instead (ResizeToMultiple)'
        )
    settings = cfg.model.get('data_preprocessor') or {}
    normalise = preprocessor._enable_normalize
    return Description(
        classes=list(meta.get('classes') or []),
        palette=[list(map(int, color)) for color in meta.get('palette') or []],
        mean=preprocessor.mean.flatten().tolist() if normalise else [0.0] * 3,
        std=preprocessor.std.flatten().tolist() if normalise else [1.0] * 3,
        channels='rgb' if settings.get('bgr_to_rgb') or settings.get('rgb_to_bgr') else 'bgr',
        resize=_size_rule(image_pipeline(cfg)),
    )


def _size_rule(pipeline: list[dict]) -> list[dict]:
    rule = []
    for step in pipeline:
        kind = type_name(step['type'])
        if kind == 'Resize' and step.get('interpolation', 'bilinear') == 'bilinear':
            if step.get('scale') is not None:
                scale = step['scale']
                scale = [scale, scale] if isinstance(scale, int) else list(scale)
                rule.append(dict(scale=scale, keep_ratio=bool(step.get('keep_ratio', False))))
            else:
                rule.append(dict(scale_factor=step['scale_factor']))
        elif kind == 'ResizeToMultiple' and step.get('interpolation') in (None, 'bilinear'):
            rule.append(dict(multiple_of=step.get('size_divisor', 32)))
        elif kind not in ('LoadImageFromFile', 'PackSegInputs'):
            raise ValueError(
                f'test pipeline: {kind} cannot be described in the file; it may have '
                'LoadImageFromFile, Resize, ResizeToMultiple (bilinear), annotations and '
                'PackSegInputs'
            )
    return rule
