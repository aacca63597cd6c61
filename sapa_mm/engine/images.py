"""Single images: read with a word on what is wrong, and the pipeline that a model tests with."""

import os

import mmcv
import numpy as np
from mmengine.config import Config
from PIL import Image

from ..datasets.checks import single_datasets


def read_image(path: str, name: str) -> np.ndarray:
    """Reads an image as the pipelines of mmseg and mmdet do.

    Args:
        path (str): The file.
        name (str): What error messages call it.

    Returns:
        np.ndarray: RGB, uint8 (H, W, 3).

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If it is empty, truncated or no image.
    """
    if not os.path.isfile(path):
        raise FileNotFoundError(f'{name}: {path} is not a file')
    if os.path.getsize(path) == 0:
        raise ValueError(f'{name}: {path} is empty')
    try:
        # OpenCV, which the pipelines read with, fills up a truncated image without a word.
        with Image.open(path) as file:
            file.load()
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
        raise ValueError(f'{name}: {path} cannot be read as an image: {error}') from error
    image = mmcv.imread(path, channel_order='rgb')
    if image is None:
        raise ValueError(f'{name}: {path} cannot be read by OpenCV')
    return image


def image_pipeline(cfg: Config) -> list[dict]:
    """The test pipeline of a config, without the annotations that a photograph has not.

    Args:
        cfg (Config): The config.

    Returns:
        list[dict]: Its steps.

    Raises:
        ValueError: If there is none.
    """
    for key in ('test_dataloader', 'val_dataloader'):
        for _, dataset in single_datasets((cfg.get(key) or {}).get('dataset'), key):
            if dataset.get('pipeline'):
                return [
                    step for step in dataset['pipeline'] if 'Annotations' not in str(step['type'])
                ]
    raise ValueError('the config has no test_dataloader with a pipeline')
