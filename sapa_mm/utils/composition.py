"""The matting equation in 8 bits."""

import numpy as np


def compose(fg: np.ndarray, bg: np.ndarray, alpha: np.ndarray) -> np.ndarray:
    """Compose an image as Composition-1k does: trunc(alpha * fg + (1 - alpha) * bg), in float64.

    Args:
        fg (np.ndarray): Foreground, uint8 (H, W, 3).
        bg (np.ndarray): Background, uint8 (H, W, 3).
        alpha (np.ndarray): uint8 (H, W), 255 where only the foreground is seen.

    Returns:
        np.ndarray: uint8 (H, W, 3).
    """
    image = np.empty_like(fg)
    for row, values in enumerate(alpha):  # float64 of a whole image takes much memory
        share = values[:, None] / 255
        image[row] = share * fg[row] + (1 - share) * bg[row]
    return image
