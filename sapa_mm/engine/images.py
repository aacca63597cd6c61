"""Single images: reading them with clear errors, and a config's pipeline for them."""

import os

import mmcv
import numpy as np
from mmengine.config import Config
from PIL import Image

from ..utils.configs import single_datasets, type_name


def read_image(path: str, name: str) -> np.ndarray:
    """Read an image as the pipelines of mmseg and mmdet do.

    Args:
        path (str): The file.
        name (str): What error messages call it.

    Returns:
        np.ndarray: RGB, uint8 (H, W, 3).

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
        raise ValueError(f'{name}: {path} cannot be read as an image: {error}') from error
    image = mmcv.imread(path, channel_order='rgb')
    if image is None:
        raise ValueError(f'{name}: {path} cannot be read by OpenCV')
    return image


def image_pipeline(cfg: Config) -> list[dict]:
    """Get the test pipeline of a config without the steps that load annotations.

    Args:
        cfg (Config): The config.

    Returns:
        list[dict]: The configs of its steps.

    Raises:
        ValueError: If there is none.
    """
    for key in ('test_dataloader', 'val_dataloader'):
        for _, dataset in single_datasets((cfg.get(key) or {}).get('dataset'), key):
            if dataset.get('pipeline'):
                return [
                    step
                    for step in dataset['pipeline']
                    if 'Annotations' not in type_name(step['type'])
                ]
    raise ValueError('the config has no test_dataloader with a pipeline')
