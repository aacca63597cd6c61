"""The four errors of an alpha matte, Table 8: SAD, MSE, Grad and Conn."""

import cv2
import numpy as np

#: Ways to compute the errors; see ``matting_errors``.
PROTOCOLS = ('matlab', 'a2u')
#: The names of the errors.
ERRORS = ('SAD', 'MSE', 'Grad', 'Conn')

_SIGMA = 1.4


def matting_errors(
    prediction: np.ndarray, truth: np.ndarray, trimap: np.ndarray, protocol: str = 'matlab'
) -> dict[str, float]:
    r"""Compare an alpha matte with the true one where the trimap is unknown, neither 0 nor 255.

    Elsewhere the prediction is set to what the trimap says. Over the unknown pixels:

    - ``SAD``: Σ \|α̂ - α\| / 1000.
    - ``MSE``: the mean of (α̂ - α)².
    - ``Grad`` (Rhemann et al., CVPR 2009): Σ (\|∇α̂\| - \|∇α\|)² / 1000, with the derivatives of a
      Gaussian, σ 1.4, of mattes stretched to [0, 1].
    - ``Conn`` (the same): Σ \|φ̂ - φ\| / 1000 with φ = 1 - d·[d ≥ 0.15] and d = α - l, where l is
      the last of the thresholds 0, 0.1, ..., 1 up to which the pixel belongs to the largest
      4-connected component of {α̂ ≥ t and α ≥ t}. Thresholds that no pixel reaches change nothing.

    Args:
        prediction (np.ndarray): α̂, float (H, W) in [0, 1].
        truth (np.ndarray): α, float (H, W) in [0, 1].
        trimap (np.ndarray): Integers (H, W) of 0 to 255.
        protocol (str): 'matlab' for the evaluation code of Composition-1k (Xu et al., CVPR 2017),
            on mattes rounded to 8 bits; 'a2u' for that in the training of A2U matting, from which
            published logs are: on mattes that are not rounded but stretched to [0, 1] for all four,
            with another scale, size and border of the derivatives (``Grad`` is about 1.036 times
            the other). Defaults to 'matlab'.

    Returns:
        dict[str, float]: The four errors; all 0 if no pixel is unknown.

    Raises:
        ValueError: If the sizes differ, or a matte has values that are NaN or not within [0, 1].
    """
    if not prediction.shape == truth.shape == trimap.shape:
        raise ValueError(
            f'the predicted alpha is {prediction.shape}, the true one {truth.shape}, the trimap '
            f'{trimap.shape}'
        )
    if not np.isfinite(prediction).all():
        raise ValueError('the predicted alpha is NaN or infinite; has the training diverged?')
    for name, alpha in (('predicted', prediction), ('true', truth)):
        if alpha.size and not 0 <= alpha.min() <= alpha.max() <= 1:
            raise ValueError(
                f'the {name} alpha must be within [0, 1], got {alpha.min():g} to {alpha.max():g}'
            )
    unknown = (trimap != 0) & (trimap != 255)
    if not unknown.any():
        return dict.fromkeys(ERRORS, 0.0)
    prediction = np.where(unknown, prediction, trimap == 255).astype(np.float64)
    truth = truth.astype(np.float64)
    if protocol == 'matlab':
        prediction, truth = (np.rint(255 * alpha) / 255 for alpha in (prediction, truth))
    else:
        prediction, truth = map(_stretch, (prediction, truth))
    difference = (prediction - truth)[unknown]
    gradients = [_gradient(_stretch(alpha), protocol)[unknown] for alpha in (prediction, truth)]
    connectivity = _connectivity(prediction, truth, by_columns=protocol == 'matlab')[unknown]
    errors = (
        np.abs(difference).sum() / 1000,
        np.square(difference).mean(),
        np.square(gradients[0] - gradients[1]).sum() / 1000,
        connectivity.sum() / 1000,
    )
    return dict(zip(ERRORS, map(float, errors), strict=True))


def _stretch(alpha: np.ndarray) -> np.ndarray:
    """Stretch a matte to [0, 1]; a constant one becomes 0."""
    low, high = alpha.min(), alpha.max()
    return (alpha - low) / ((high - low) or 1)


def _gradient(alpha: np.ndarray, protocol: str) -> np.ndarray:
    """The magnitude of the derivatives; for 'a2u' times 10, as it divides by 10, not 1000."""
    half = 4 if protocol == 'matlab' else 6
    x = np.arange(-half, half + 1)
    smooth = np.exp(-np.square(x / _SIGMA) / 2)
    derivative = smooth * x
    if protocol == 'matlab':
        smooth /= np.linalg.norm(smooth)
        derivative /= np.linalg.norm(derivative)
        border = cv2.BORDER_REPLICATE
    else:
        derivative *= 10 / _SIGMA**2 / smooth.sum()
        smooth /= smooth.sum()
        border = cv2.BORDER_REFLECT
    return cv2.magnitude(
        cv2.sepFilter2D(alpha, cv2.CV_64F, derivative, smooth, borderType=border),
        cv2.sepFilter2D(alpha, cv2.CV_64F, smooth, derivative, borderType=border),
    )


def _connectivity(prediction: np.ndarray, truth: np.ndarray, by_columns: bool) -> np.ndarray:
    """|φ̂ - φ|; of equally large components the first counts, in order of columns or rows."""
    lower = np.minimum(prediction, truth)
    if by_columns:
        lower = np.ascontiguousarray(lower.T)
    level = np.full(lower.shape, 1.0)
    is_left = np.full(lower.shape, True)
    for step in range(1, 11):
        # By division, so that 153 / 255 reaches 6 / 10; 6 * 0.1 is more than both.
        reached = (lower >= step / 10).astype(np.uint8)
        number, labels, stats, _ = cv2.connectedComponentsWithStats(reached, connectivity=4)
        if number == 1:
            break
        largest = labels == 1 + stats[1:, cv2.CC_STAT_AREA].argmax()
        level[is_left & ~largest] = (step - 1) / 10
        is_left &= largest
    if by_columns:
        level = level.T
    distances = [alpha - level for alpha in (prediction, truth)]
    return np.abs(np.subtract(*(d * (d >= 0.15) for d in distances)))
