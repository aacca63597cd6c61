"""The metadata of an exported file: what its map is, and how to prepare an image for it."""

import json

from mmengine.config import Config

from .. import __version__
from ..engine.images import image_pipeline
from ..utils.configs import type_name
from .exported_model import ExportedModel

_OTHER_STEPS = (
    *('LoadImageFromFile', 'PackSegInputs'),
    *('LoadMattingImage', 'LoadTrimap', 'PackMattingInputs'),
)


def describe(cfg: Config, exported: ExportedModel, meta: dict) -> dict[str, str]:
    """Describes a model.

    Args:
        cfg (Config): Its config.
        exported (ExportedModel): The model.
        meta (dict): What the checkpoint or the config says of the data set.

    Returns:
        dict[str, str]: ``sapa_mm``, the version, and as JSON: ``task``, what the kind of the model
        says of its map, and

        - ``mean``, ``std``: of each channel, for pixels of 0 to 255, in the order ``channels``;
        - ``channels``: 'rgb', 'bgr', 'bgra' or 'grey';
        - ``resize``: steps that compute the size to resize an image to. Each has ``scale`` and
          ``keep_ratio`` (fit into long and short side, or resize to width and height),
          ``scale_factor``, or ``multiple_of`` (round each side up);
        - ``align_corners``: how the map is resized to the image, as in ``F.interpolate``.

    Raises:
        ValueError: If the config prepares images in a way that cannot be described.
    """
    preprocessor = exported.model.data_preprocessor
    if getattr(preprocessor, 'test_cfg', None):
        raise ValueError(
            f'data_preprocessor.test_cfg={dict(preprocessor.test_cfg)} pads images: not exported; '
            'resize them in the test pipeline instead (ResizeToMultiple)'
        )
    pipeline, count = image_pipeline(cfg), exported.channels
    mean, std = [0.0] * count, [1.0] * count
    if preprocessor._enable_normalize:
        # One value may stand for all channels.
        mean, std = (
            part.flatten().expand(count).tolist() for part in (preprocessor.mean, preprocessor.std)
        )
    # Upstream, mmseg's has a name of its own for what mmengine's has.
    names = ('_channel_conversion', 'channel_conversion')
    swaps_channels = any(getattr(preprocessor, name, False) for name in names)
    fields = dict(
        task=exported.task,
        **exported.metadata(meta),
        mean=mean,
        std=std,
        channels=_channel_order(pipeline, swaps_channels, count),
        resize=_size_rule(pipeline),
        align_corners=bool(getattr(exported.model, 'align_corners', False)),
    )
    return {'sapa_mm': __version__, **{name: json.dumps(value) for name, value in fields.items()}}


def _channel_order(pipeline: list[dict], converts: bool, count: int) -> str:
    load = next((step for step in pipeline if type_name(step['type']) == 'LoadImageFromFile'), {})
    if load.get('imdecode_backend') == 'tifffile':
        raise ValueError(
            'test pipeline: images that tifffile reads cannot be described in the file'
        )
    stored = load.get('color_type', 'color')
    if (count, stored) not in ((1, 'grayscale'), (3, 'color'), (3, 'unchanged'), (4, 'unchanged')):
        raise ValueError(
            f'model.backbone.in_channels={count} with color_type={stored!r} of LoadImageFromFile '
            "cannot be described in the file; 3, 1 ('grayscale') and 4 ('unchanged') can"
        )
    if count != 3:
        return 'grey' if count == 1 else 'bgra'
    return 'rgb' if converts else 'bgr'


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
        elif kind not in _OTHER_STEPS:
            raise ValueError(
                f'test pipeline: {kind} cannot be described in the file; it may have '
                'LoadImageFromFile, Resize, ResizeToMultiple (bilinear), annotations and '
                'PackSegInputs'
            )
    return rule
