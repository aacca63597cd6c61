"""Single images: reading them with clear errors, and a config's pipeline for them."""

import importlib.util
import os
from typing import Any

import cv2
import numpy as np
from mmengine import fileio
from mmengine.config import Config
from PIL import Image
from torch import nn

from ..utils.configs import datasets_of, without_labels
from ..utils.text import one_line


def read_image(path: str, name: str) -> np.ndarray:
    """Read an image to draw on it, after checking that it is whole.

    Args:
        path (str): The file.
        name (str): What error messages call it.

    Returns:
        np.ndarray: See ``read_picture``.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If it is empty, truncated or not an image.
    """
    if not os.path.isfile(path):
        raise FileNotFoundError(f'{name}: {path} is not a file')
    if os.path.getsize(path) == 0:
        raise ValueError(f'{name}: {path} is empty')
    try:
        # OpenCV, which the pipelines use, silently pads a truncated image.
        with Image.open(path) as file:
            file.load()
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
        # Pillow knows few kinds of TIFF.
        if os.path.splitext(path)[1].lower() not in ('.tif', '.tiff'):
            raise ValueError(f'{name}: {path} cannot be read as an image: {error}') from error
    return read_picture(path, name)


def read_picture(path: str, name: str = 'image') -> np.ndarray:
    """Read an image of any kind to draw on it.

    Args:
        path (str): The file, or an address that mmengine reads.
        name (str): What error messages call it. Defaults to 'image'.

    Returns:
        np.ndarray: RGB, uint8 (H, W, 3), as the pipelines of mmseg and mmdet read it. Of a TIFF
        file that OpenCV reads otherwise, such as one of floats or of many bands: the first three
        bands or the first one, from its smallest value, black, to its largest.

    Raises:
        ValueError: If it cannot be read.
    """
    # OpenCV would cut floats off at 0 and 255.
    try:
        content = fileio.get(path)
        image = _decode(content, cv2.IMREAD_UNCHANGED)
        if image is None:
            # A kind of TIFF that OpenCV does not know, or no image.
            if importlib.util.find_spec('tifffile') is None:  # mmcv would fail with a traceback
                raise ImportError('OpenCV cannot read it, and tifffile is not installed')
            import mmcv

            return _scale(mmcv.imfrombytes(content, 'unchanged', backend='tifffile'))
        if image.dtype in (np.uint8, np.uint16):
            return _decode(content, cv2.IMREAD_COLOR)[..., ::-1].copy()
        return _scale(image[..., 2::-1] if image.ndim == 3 else image)
    except (OSError, ValueError, ImportError, KeyError, cv2.error) as error:
        raise ValueError(f'{name}: {path} cannot be read as an image: {one_line(error)}') from error


def _decode(content: bytes, flag: int) -> Any:
    """Decode by OpenCV; None if it does not know the kind."""
    return cv2.imdecode(np.frombuffer(content, np.uint8), flag)


def _scale(image: np.ndarray) -> np.ndarray:
    if image.ndim not in (2, 3):
        raise ValueError(f'it has the shape {image.shape}')
    image = np.atleast_3d(image).astype(np.float64)
    image = image[..., :3] if image.shape[2] > 2 else image[..., :1].repeat(3, 2)
    finite = image[np.isfinite(image)]
    low, high = (finite.min(), finite.max()) if finite.size else (0, 0)
    image = np.nan_to_num((image - low) / ((high - low) or 1)).clip(0, 1)
    return np.rint(image * 255).astype(np.uint8)


def input_channels(model: nn.Module) -> int:
    """Count the channels of the images that a model takes.

    Args:
        model (nn.Module): A model of mmseg or mmdet.

    Returns:
        int: The input channels of the backbone's first convolution; 3 if it has none.
    """
    backbone = getattr(model, 'backbone', model)
    convolutions = (part for part in backbone.modules() if isinstance(part, nn.Conv2d))
    return next((part.in_channels for part in convolutions), 3)


def image_pipeline(cfg: Config) -> list[dict]:
    """Get the test pipeline of a config without the steps that load annotations.

    Args:
        cfg (Config): The config.

    Returns:
        list[dict]: The configs of its steps.

    Raises:
        ValueError: If there is none.
    """
    for split in ('test', 'val'):
        for _, dataset in datasets_of(cfg, split):
            if dataset.get('pipeline'):
                return without_labels(dataset['pipeline'])
    raise ValueError('the config has no test_dataloader with a pipeline')
