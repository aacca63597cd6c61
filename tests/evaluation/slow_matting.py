"""The four errors of mattes written out, pixel by pixel; 8-bit mattes in fractions."""

import itertools
import math
from fractions import Fraction


def slow_errors(prediction, truth, trimap, protocol='matlab'):
    """SAD, MSE, Grad and Conn; mattes as floats (H, W)."""
    pixels = [(i, j) for i in range(trimap.shape[0]) for j in range(trimap.shape[1])]
    unknown = [p for p in pixels if trimap[p] not in (0, 255)]
    if not unknown:
        return dict(SAD=0, MSE=0, Grad=0, Conn=0)
    prediction = {
        p: float(prediction[p]) if trimap[p] not in (0, 255) else int(trimap[p]) // 255
        for p in pixels
    }
    truth = {p: float(truth[p]) for p in pixels}
    if protocol == 'matlab':
        exact = [
            {p: Fraction(math.floor(255 * alpha[p] + 0.5), 255) for p in pixels}
            for alpha in (prediction, truth)
        ]
    else:
        exact = [stretch(alpha) for alpha in (prediction, truth)]
    gradients = [gradient(stretch(alpha), protocol) for alpha in exact]
    a, b = exact
    c, d = connectivity(a, b, columns_first=protocol == 'matlab')
    return dict(
        SAD=float(sum(abs(a[p] - b[p]) for p in unknown) / 1000),
        MSE=float(sum((a[p] - b[p]) ** 2 for p in unknown) / len(unknown)),
        Grad=sum((gradients[0][p] - gradients[1][p]) ** 2 for p in unknown)
        / (1000 if protocol == 'matlab' else 10),
        Conn=float(sum(abs(c[p] - d[p]) for p in unknown) / 1000),
    )


def stretch(alpha):
    low, high = min(alpha.values()), max(alpha.values())
    return {p: (value - low) / (high - low) if high > low else 0 for p, value in alpha.items()}


def gradient(alpha, protocol):
    """Of a 9×9 filter of norm 1, or of one whose Gaussian sums to 1."""
    rows, columns = (max(side) + 1 for side in zip(*alpha, strict=True))
    half = 4 if protocol == 'matlab' else 6
    window = [(u, v) for u in range(-half, half + 1) for v in range(-half, half + 1)]
    gauss = {w: math.exp(-(w[0] ** 2 + w[1] ** 2) / (2 * 1.4**2)) for w in window}
    if protocol == 'matlab':
        size = math.sqrt(sum((w[1] * gauss[w]) ** 2 for w in window))
    else:
        size = 1.4**2 * sum(gauss.values())
    inside = replicated if protocol == 'matlab' else reflected
    magnitudes = {}
    for i, j in alpha:
        x = y = 0.0
        for u, v in window:
            value = float(alpha[inside(i + u, rows), inside(j + v, columns)])
            y += u * gauss[u, v] / size * value
            x += v * gauss[u, v] / size * value
        magnitudes[i, j] = math.hypot(x, y)
    return magnitudes


def replicated(index, size):
    return min(max(index, 0), size - 1)


def reflected(index, size):
    """b a | a b c | c b."""
    index %= 2 * size
    return index if index < size else 2 * size - 1 - index


def connectivity(prediction, truth, columns_first):
    """Both φ."""
    steps = [Fraction(k, 10) for k in range(11)]
    level = dict.fromkeys(prediction, None)
    for before, step in itertools.pairwise(steps):
        both = {p for p in prediction if prediction[p] >= step and truth[p] >= step}
        if not both:
            continue
        largest = max(components(both, columns_first), key=len)
        for p in level:
            if level[p] is None and p not in largest:
                level[p] = before
    phis = []
    for alpha in (prediction, truth):
        distance = {p: alpha[p] - (1 if level[p] is None else level[p]) for p in alpha}
        phis.append({p: 1 - d * (d >= Fraction(15, 100)) for p, d in distance.items()})
    return phis


def components(pixels, columns_first):
    """Of 4-connected pixels, in the order of their first ones; `max` takes the first of equals."""
    left, found = set(pixels), []
    for start in sorted(pixels, key=lambda p: p[::-1] if columns_first else p):
        if start not in left:
            continue
        left.discard(start)
        component, waiting = set(), [start]
        while waiting:
            i, j = waiting.pop()
            component.add((i, j))
            for p in ((i - 1, j), (i + 1, j), (i, j - 1), (i, j + 1)):
                if p in left:
                    left.discard(p)
                    waiting.append(p)
        found.append(component)
    return found
