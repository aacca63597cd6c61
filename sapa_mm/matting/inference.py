"""The alpha of a photograph."""

import os

import numpy as np
import torch
from mmengine.dataset import pseudo_collate
from mmengine.model import BaseModel

from ..utils.log import log_warning
from .a2u_matting import A2UMatting
from .matting_files import read_gray, read_photograph
from .pack_matting_inputs import PackMattingInputs
from .trimap import clean_trimap, is_unknown


def inference_matting(
    model: A2UMatting,
    image: str | os.PathLike | np.ndarray,
    trimap: str | os.PathLike | np.ndarray,
) -> np.ndarray:
    """Predict the alpha of an image.

    Args:
        model (A2UMatting): The model, such as ``load_trained(config, checkpoint).model``. It
            predicts in evaluation mode, and is left in the mode it was in.
        image (str | os.PathLike | np.ndarray): A file, or BGR, uint8 (H, W, 3).
        trimap (str | os.PathLike | np.ndarray): A file, or uint8 (H, W): 0 is background, 255
            foreground, every other value unknown.

    Returns:
        np.ndarray: float32 (H, W) in [0, 1]; 0 and 1 where the trimap is known; NaN, with a
        warning, where the model gives no finite value.

    Raises:
        ValueError: If a file cannot be read, the image is transparent or smaller than 16 pixels, an
            array has another type or shape, or the trimap is not grey, has no values above 2, or
            another size than the image.
        TypeError: If model is no model, or one of the others neither a file nor an array.
    """
    if not isinstance(model, BaseModel):
        raise TypeError(
            'inference_matting: model must be a model, such as load_trained(...).model, got '
            f'{type(model).__name__}'
        )
    for name, value in (('image', image), ('trimap', trimap)):
        if not isinstance(value, (str, os.PathLike, np.ndarray)):
            raise TypeError(
                f'inference_matting: {name} must be a file or an array, got {type(value).__name__}'
            )
    if not isinstance(image, np.ndarray):
        image = read_photograph(os.fspath(image))
    elif image.dtype != np.uint8 or image.ndim != 3 or image.shape[2] != 3:
        raise ValueError(
            'inference_matting: image must be BGR, uint8 (H, W, 3), got '
            f'{image.dtype} {image.shape}'
        )
    name = 'inference_matting: trimap'
    if not isinstance(trimap, np.ndarray):
        name = os.fspath(trimap)
        trimap = read_gray(name)
    if trimap.dtype != np.uint8 or trimap.shape != image.shape[:2]:
        raise ValueError(
            f'{name} must be uint8 {image.shape[:2]}, the size of the image, '
            f'got {trimap.dtype} {trimap.shape}'
        )
    trimap = clean_trimap(trimap, name)
    if not is_unknown(trimap).any():
        log_warning('inference_matting: trimap has no unknown pixels, so it is the alpha')
    data = pseudo_collate([PackMattingInputs().transform(dict(img=image, trimap=trimap))])
    training = model.training
    model.eval()
    try:
        with torch.no_grad():
            sample = model.test_step(data)[0]
    finally:
        model.train(training)
    alpha = sample.pred_alpha.data[0].cpu().numpy()
    if np.isnan(alpha).any():
        log_warning('inference_matting: the alpha has NaN; has the training of the model diverged?')
    return alpha
