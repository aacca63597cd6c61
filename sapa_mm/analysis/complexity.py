"""Parameters and multiply-adds of the model of a config."""

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial

from mmengine.config import Config
from mmengine.registry import MODELS
from torch import nn

from ..engine.config import check_upsamplers, in_scope, read_config, without_initialisation
from ..engine.images import input_channels
from ..upsamplers import Upsampler
from ..utils.text import one_line
from .flops import Flops, count_flops

#: (H, W) of a detector's input before it is padded, the largest that COCO's configs resize to.
DETECTION_SHAPE = (800, 1333)


@dataclass(frozen=True)
class Cost:
    """The cost of a config's model.

    Attributes:
        trainable (int): Trainable parameters.
        parameters (int): All parameters.
        upsamplers (int): Parameters of the upsamplers.
        shape (tuple[int, int]): (H, W) of the input on which the multiply-adds were counted.
        flops (Flops): Multiply-adds of the model; of a detector only those of the backbone and the
            neck: the rest depends on the proposals.
    """

    trainable: int
    parameters: int
    upsamplers: int
    shape: tuple[int, int]
    flops: Flops


def count_parameters(module: nn.Module, trainable_only: bool = True) -> int:
    """Counts the parameters of a module.

    Args:
        module (nn.Module): The module.
        trainable_only (bool): Whether frozen parameters are left out, as the paper does in
            Tables 5 and 6. Defaults to True.

    Returns:
        int: Number of parameters.
    """
    parameters = module.parameters()
    return sum(p.numel() for p in parameters if p.requires_grad or not trainable_only)


def measure_cost(config: str, shape: tuple[int, int] | None = None) -> Cost:
    """Builds a config's model with random weights and counts its parameters and multiply-adds.

    Args:
        config (str): The config file.
        shape (tuple[int, int], optional): (H, W) of the input. Defaults for a detector to
            ``DETECTION_SHAPE``, padded as in the config, for other models to the config's crop.

    Returns:
        Cost: The cost.

    Raises:
        FileNotFoundError: If there is no such config.
        ValueError: If its model cannot be built, or cannot run on an input of this shape.
    """
    with _prefixing_errors(config, AssertionError):
        cfg = read_config(config)
    with _prefixing_errors(config, Exception), in_scope(cfg):
        check_upsamplers(cfg)
        model = MODELS.build(without_initialisation(cfg.model))
        is_detector = cfg.get('default_scope') == 'mmdet'
        run = model.extract_feat if is_detector else partial(model, mode='tensor')
        shape = _input_shape(cfg, shape, is_detector)
    with _prefixing_errors(f'{config} with shape {shape[0]} {shape[1]}', Exception):
        flops = count_flops(model, run, (1, input_channels(model), *shape))
    return Cost(
        trainable=count_parameters(model),
        parameters=count_parameters(model, trainable_only=False),
        upsamplers=sum(
            count_parameters(module, trainable_only=False)
            for module in model.modules()
            if isinstance(module, Upsampler)
        ),
        shape=shape,
        flops=flops,
    )


@contextlib.contextmanager
def _prefixing_errors(prefix: str, *errors: type[Exception]) -> Iterator[None]:
    """Prefix errors with the config they are about: models and configs may raise anything."""
    try:
        yield
    except errors as error:
        raise ValueError(f'{prefix}: {one_line(error)}') from error


def _input_shape(cfg: Config, shape: tuple[int, int] | None, is_detector: bool) -> tuple[int, int]:
    preprocessor = cfg.model.get('data_preprocessor') or {}
    if not is_detector:
        size = shape or preprocessor.get('size') or cfg.get('crop_size')
        if size is None:
            raise ValueError(
                'shape: the config has no data_preprocessor.size or crop_size, give the input size'
            )
        return tuple(size)
    divisor = preprocessor.get('pad_size_divisor', 1)
    shape = shape or DETECTION_SHAPE
    return tuple(-(-side // divisor) * divisor for side in shape)
