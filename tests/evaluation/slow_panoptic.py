"""COCO's panoptic quality, literal and slow, sharing no code with the package."""


def count(truth, truth_info, prediction, prediction_info, num_classes):
    """Segments are lists of (id, label, crowd). Returns [IoU sum, TP, FP, FN] of each class."""
    counts = [[0.0, 0, 0, 0] for _ in range(num_classes)]
    height, width = len(truth), len(truth[0])
    pixels = [(y, x) for y in range(height) for x in range(width)]
    of_truth = {i: {p for p in pixels if truth[p[0]][p[1]] == i} for i, _, _ in truth_info}
    of_prediction = {
        i: {p for p in pixels if prediction[p[0]][p[1]] == i} for i, _, _ in prediction_info
    }
    void = {p for p in pixels if truth[p[0]][p[1]] == 0}
    matched_truth, matched_prediction = set(), set()
    for i, label, crowd in truth_info:
        for j, other, _ in prediction_info:
            if crowd or label != other:
                continue
            inside = of_truth[i] & of_prediction[j]
            union = of_truth[i] | (of_prediction[j] - void)
            iou = len(inside) / len(union)
            if iou > 0.5:
                counts[label][0] += iou
                counts[label][1] += 1
                assert i not in matched_truth
                assert j not in matched_prediction
                matched_truth.add(i)
                matched_prediction.add(j)
    for i, label, crowd in truth_info:
        if i not in matched_truth and not crowd:
            counts[label][3] += 1
    for j, label, _ in prediction_info:
        if j in matched_prediction:
            continue
        excused = set(void)
        for i, other, crowd in truth_info:
            if crowd and other == label:
                excused |= of_truth[i]
        if len(of_prediction[j] & excused) / len(of_prediction[j]) > 0.5:
            continue
        counts[label][2] += 1
    return counts


def quality(counts):
    """PQ, SQ and RQ in percent over the classes that occur."""
    rows = []
    for iou, tp, fp, fn in counts:
        if tp + fp + fn == 0:
            continue
        total = tp + fp / 2 + fn / 2
        rows.append((iou / total, iou / tp if tp else 0.0, tp / total))
    if not rows:
        return [0.0, 0.0, 0.0]
    return [100 * sum(row[k] for row in rows) / len(rows) for k in range(3)]
