"""The alpha of a photograph."""

import numpy as np
import torch
from mmengine.dataset import pseudo_collate

from ..utils.log import log_warning
from .a2u_matting import A2UMatting
from .matting_files import read_gray, read_photograph
from .pack_matting_inputs import PackMattingInputs
from .trimap import clean_trimap, is_unknown


def inference_matting(
    model: A2UMatting, image: str | np.ndarray, trimap: str | np.ndarray
) -> np.ndarray:
    """Predict the alpha of an image.

    Args:
        model (A2UMatting): The model, such as ``load_trained(config, checkpoint).model``. It
            predicts in evaluation mode, and is left in the mode it was in.
        image (str | np.ndarray): A file, or BGR, uint8 (H, W, 3).
        trimap (str | np.ndarray): A file, or uint8 (H, W): 0 is background, 255 foreground, every
            other value unknown.

    Returns:
        np.ndarray: float32 (H, W) in [0, 1]; 0 and 1 where the trimap is known.

    Raises:
        ValueError: If a file cannot be read, the image is transparent or smaller than 16 pixels, an
            array has another type or shape, or the trimap is not grey or of another size than the
            image.
    """
    if isinstance(image, str):
        image = read_photograph(image)
    elif image.dtype != np.uint8 or image.ndim != 3 or image.shape[2] != 3:
        raise ValueError(
            'inference_matting: image must be BGR, uint8 (H, W, 3), got '
            f'{image.dtype} {image.shape}'
        )
    if isinstance(trimap, str):
        trimap = read_gray(trimap)
    if trimap.dtype != np.uint8 or trimap.shape != image.shape[:2]:
        raise ValueError(
            f'inference_matting: trimap must be uint8 {image.shape[:2]}, the size of the image, '
            f'got {trimap.dtype} {trimap.shape}'
        )
    trimap = clean_trimap(trimap)
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
    return sample.pred_alpha.data[0].cpu().numpy()
