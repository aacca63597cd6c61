"""A picture of a predicted alpha matte: image, trimap, alpha, error, and a new background."""

import importlib.util

import cv2
import numpy as np

from .depth_colors import color_error, depth_limits
from .panels import add_title, draw_scale, fit_panels, join_panels

#: Of the plain background, RGB: a green on which old colours show.
PLAIN = (0, 177, 64)


def draw_matting(
    image: np.ndarray, trimap: np.ndarray, alpha: np.ndarray, truth: np.ndarray | None = None
) -> np.ndarray:
    """Draw a predicted alpha matte.

    Args:
        image (np.ndarray): RGB, uint8 (H, W, 3).
        trimap (np.ndarray): uint8 (H, W).
        alpha (np.ndarray): The prediction (H, W) in [0, 1].
        truth (np.ndarray, optional): The true alpha, likewise. Defaults to None.

    Returns:
        np.ndarray: RGB, uint8: the image, the truth and the trimap; the foreground on green, the
        prediction and its absolute error, grey where the trimap is known. Without truth: image and
        trimap, foreground and prediction. The foreground has its own colours if pymatting is
        installed, else those of the image, as its title says.
    """
    error = None
    if truth is not None:
        is_known = (trimap == 0) | (trimap == 255)
        error = np.where(is_known, np.nan, np.abs(alpha - truth)).astype(np.float32)
    small, trimap, error = fit_panels(image, trimap, error)
    # Unlike trimaps, mattes may be averaged; hair would be lost.
    alpha = _fit(alpha, small.shape)
    top = [add_title(small, 'image'), add_title(_grey(trimap), 'trimap')]
    bottom = [_on_green(small, alpha), add_title(_grey(255 * alpha), 'prediction')]
    if truth is None or error is None:
        return join_panels([top, bottom])
    limit = depth_limits(error)[1]
    top.insert(1, add_title(_grey(255 * _fit(truth, small.shape)), 'truth'))
    bottom.append(add_title(color_error(error, limit), 'error'))
    bottom.append(draw_scale(lambda values: color_error(values, limit), 0, limit, len(error)))
    return join_panels([top, bottom])


def _fit(alpha: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    shrinks = alpha.size > shape[0] * shape[1]
    kind = cv2.INTER_AREA if shrinks else cv2.INTER_NEAREST
    return cv2.resize(np.nan_to_num(alpha).astype(np.float32), shape[1::-1], interpolation=kind)


def _grey(values: np.ndarray) -> np.ndarray:
    return np.rint(values).astype(np.uint8)[..., None].repeat(3, 2)


def _on_green(image: np.ndarray, alpha: np.ndarray) -> np.ndarray:
    title = 'on green, colours of the image'
    if importlib.util.find_spec('pymatting') is not None:
        from ..matting.foreground import estimate_foreground

        image, title = estimate_foreground(image, alpha), 'on green'
    share = alpha[..., None]
    picture = np.rint(share * image + (1 - share) * np.array(PLAIN)).astype(np.uint8)
    return add_title(picture, title)
