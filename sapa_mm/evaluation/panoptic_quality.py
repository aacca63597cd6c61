"""Panoptic quality by COCO's rules, from segment ids in numpy arrays."""

import numpy as np

from ..utils.coco_panoptic import Segments, find_segments


def count_matches(truth: Segments, prediction: Segments, num_classes: int) -> np.ndarray:
    """Match the segments of one image.

    A predicted and a true segment of the same class match if their IoU is over 0.5. The union
    excludes the prediction's pixels on VOID. Crowd segments match nothing and are never missed. An
    unmatched prediction is not a false positive if more than half of it lies on VOID or on crowds
    of its class.

    Args:
        truth (Segments): The true segments.
        prediction (Segments): The predicted segments, without crowds.
        num_classes (int): C; labels are 0..C-1.

    Returns:
        np.ndarray: For each class the sum of the IoUs of the matches, and the numbers of true
        positives, false positives and false negatives; float64 (C, 4).

    Raises:
        ValueError: If the maps differ in shape, or a map does not contain exactly its segments.
    """
    if truth.id_map.shape != prediction.id_map.shape:
        raise ValueError(
            f'the prediction has (H, W) = {prediction.id_map.shape}, '
            f'the truth has {truth.id_map.shape}'
        )
    # Row and column 0 are VOID, the others the segments in their order.
    overlap = _overlap(
        find_segments(truth, 'truth'), find_segments(prediction, 'prediction'),
        len(truth.ids) + 1, len(prediction.ids) + 1,
    )  # fmt: skip
    true_area, predicted_area = overlap[1:].sum(1), overlap[:, 1:].sum(0)
    on_void, overlap = overlap[0, 1:], overlap[1:, 1:]

    same_class = truth.labels[:, None] == prediction.labels
    union = true_area[:, None] + predicted_area - on_void - overlap
    # In integers, so that an IoU of exactly 0.5 is not a match. No segment has two matches.
    match = same_class & ~truth.crowd[:, None] & (2 * overlap > union)
    rows, columns = np.nonzero(match)
    ignored = on_void + (overlap * (same_class & truth.crowd[:, None])).sum(0)
    missed = ~match.any(1) & ~truth.crowd
    wrong = ~match.any(0) & (2 * ignored <= predicted_area)

    def per_class(labels, weights=None):
        return np.bincount(labels, weights, minlength=num_classes)

    return np.stack(
        [
            per_class(truth.labels[rows], overlap[rows, columns] / union[rows, columns]),
            per_class(truth.labels[rows]),
            per_class(prediction.labels[wrong]),
            per_class(truth.labels[missed]),
        ],
        axis=1,
        dtype=np.float64,
    )


def panoptic_quality(counts: np.ndarray) -> np.ndarray:
    """Compute PQ, SQ and RQ of each class.

    Args:
        counts (np.ndarray): Sum of ``count_matches`` over the images, float64 (C, 4).

    Returns:
        np.ndarray: Percentages, float64 (C, 3): PQ = sum of IoU / (TP + FP/2 + FN/2), SQ = sum of
        IoU / TP and RQ = TP / (TP + FP/2 + FN/2). A quotient is 0 if its denominator is 0.
    """
    iou, tp, fp, fn = counts.T
    segments = tp + (fp + fn) / 2
    quotients = [(iou, segments), (iou, tp), (tp, segments)]
    return 100 * np.stack(
        [np.divide(a, b, out=np.zeros_like(a), where=b > 0) for a, b in quotients], axis=1
    )


def average_quality(counts: np.ndarray, mask: np.ndarray | None = None) -> tuple[np.ndarray, int]:
    """Average PQ, SQ and RQ over the classes that occur in the truth or the prediction.

    Args:
        counts (np.ndarray): See ``panoptic_quality``.
        mask (np.ndarray, optional): Classes to average over, bool (C,). Defaults to all.

    Returns:
        tuple[np.ndarray, int]: The three averages in percent, zeros if no class occurs, and the
        number of classes that occur.
    """
    occurs = counts[:, 1:].sum(1) > 0
    if mask is not None:
        occurs &= mask
    number = int(occurs.sum())
    if number == 0:
        return np.zeros(3), 0
    return panoptic_quality(counts[occurs]).mean(0), number


def _overlap(rows: np.ndarray, columns: np.ndarray, num_rows: int, num_columns: int) -> np.ndarray:
    """Count the pixels of each pair, int64 (num_rows, num_columns)."""
    pairs = np.bincount((rows * num_columns + columns).ravel(), minlength=num_rows * num_columns)
    return pairs.reshape(num_rows, num_columns)
