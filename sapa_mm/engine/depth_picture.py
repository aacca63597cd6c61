"""A picture of a predicted depth map: image, truth, prediction and error, with their scales."""

import numpy as np

from .depth_colors import color_depth, color_error, depth_limits
from .panels import add_title, draw_scale, fit_panels, join_panels


def draw_depth(image: np.ndarray, depth: np.ndarray, truth: np.ndarray | None = None) -> np.ndarray:
    """Draw a predicted depth map.

    Args:
        image (np.ndarray): RGB, uint8 (H, W, 3).
        depth (np.ndarray): The prediction in metres (h, w).
        truth (np.ndarray, optional): The true depth in metres, of the same or another size; 0 is no
            measurement. Defaults to None.

    Returns:
        np.ndarray: RGB, uint8: truth and prediction on one scale, the image and the absolute error,
        grey where there is no truth; without truth, image and prediction. Scales end at the 1st
        and the 99th percentile.
    """
    image, depth, truth = fit_panels(image, depth, truth)
    low, high = depth_limits(*(part for part in (depth, truth) if part is not None))
    prediction = add_title(color_depth(depth, low, high), 'prediction')
    scale = draw_scale(lambda values: color_depth(values, low, high), low, high, len(depth), 'm')
    image = add_title(image, 'image')
    if truth is None:
        return join_panels([[image, prediction, scale]])
    error = np.abs(depth - np.where(truth > 0, truth, np.nan))
    limit = depth_limits(error)[1]
    error_scale = draw_scale(lambda values: color_error(values, limit), 0, limit, len(depth), 'm')
    return join_panels(
        [
            [add_title(color_depth(truth, low, high), 'truth'), prediction, scale],
            [image, add_title(color_error(error, limit), 'error'), error_scale],
        ]
    )
