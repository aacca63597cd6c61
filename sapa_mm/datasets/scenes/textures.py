"""Textures of the generated classes.

A texture is a function ``(rng, x, y, radius) -> colour``: it draws its own parameters from the
random generator and paints every point of the pixel grid ``x``, ``y`` (float32, (h, w), in pixels,
local to the painted region) with a colour, float32 (h, w, 3) in about [0, 1]. ``radius`` is the
region's extent in pixels. Colours of different classes overlap on purpose, so that pattern and
shape matter, not only colour.
"""

from __future__ import annotations

import numpy as np


def value_noise(
    rng: np.random.Generator, size: tuple[int, int], cell: tuple[float, float]
) -> np.ndarray:
    """Smooth noise: a grid of random values, interpolated.

    Args:
        rng (np.random.Generator): Source of the random values.
        size (tuple[int, int]): Height and width of the result.
        cell (tuple[float, float]): Height and width of one grid cell in pixels.

    Returns:
        np.ndarray: Noise in [0, 1], float32 of shape ``size``.
    """
    counts = [int(np.ceil(side / step)) + 2 for side, step in zip(size, cell, strict=True)]
    grid = rng.random(counts, dtype=np.float32)
    # Separable gathers, not a matrix product: the result must not depend on the BLAS library.
    for axis, (side, step) in enumerate(zip(size, cell, strict=True)):
        position = np.arange(side, dtype=np.float32) / np.float32(step)
        index = position.astype(np.int64)
        fraction = position - index
        fraction = fraction * fraction * (3 - 2 * fraction)
        fraction = fraction[:, None] if axis == 0 else fraction
        low, high = np.take(grid, index, axis), np.take(grid, index + 1, axis)
        grid = low + (high - low) * fraction
    return grid


def fractal_noise(
    rng: np.random.Generator,
    size: tuple[int, int],
    cell: tuple[float, float],
    octaves: int = 3,
) -> np.ndarray:
    """Sum of ``value_noise`` at halving cell sizes and halving amplitudes.

    Args:
        rng (np.random.Generator): Source of the random values.
        size (tuple[int, int]): Height and width of the result.
        cell (tuple[float, float]): Height and width of a grid cell of the coarsest octave in
            pixels; finer cells stop at one pixel.
        octaves (int): Number of octaves. Defaults to 3.

    Returns:
        np.ndarray: Noise in [0, 1], float32 of shape ``size``.
    """
    total = np.zeros(size, dtype=np.float32)
    for octave in range(octaves):
        scale = 2**octave
        step = (max(cell[0] / scale, 1.0), max(cell[1] / scale, 1.0))
        total += value_noise(rng, size, step) / np.float32(scale)
    return total / np.float32(2 - 2 ** (1 - octaves))


def sky(rng, x, y, radius):
    """Vertical gradient from blue to haze, with soft clouds."""
    top = _hsv(_uniform(rng, 0.53, 0.64), _uniform(rng, 0.25, 0.65), _uniform(rng, 0.55, 0.95))
    haze = _hsv(_uniform(rng, 0.05, 0.65), _uniform(rng, 0.02, 0.3), _uniform(rng, 0.75, 0.98))
    cloud = _hsv(_uniform(rng, 0.5, 1.1), _uniform(rng, 0.0, 0.1), _uniform(rng, 0.8, 1.0))
    colour = _mix(top, haze, np.clip(y / (1.2 * radius) + 0.1, 0, 1))
    clouds = fractal_noise(rng, x.shape, (radius / 8, radius / 4), octaves=4)
    cover = _uniform(rng, 0.45, 0.65)
    return _mix(colour, cloud, np.clip((clouds - cover) * 6, 0, 1) * _uniform(rng, 0.4, 0.95))


def grass(rng, x, y, radius):
    """Fine upright blades over slowly changing greens."""
    lush = _hsv(_uniform(rng, 0.22, 0.38), _uniform(rng, 0.35, 0.75), _uniform(rng, 0.35, 0.65))
    dry = _hsv(_uniform(rng, 0.1, 0.25), _uniform(rng, 0.3, 0.6), _uniform(rng, 0.4, 0.7))
    patches = fractal_noise(rng, x.shape, (radius / 8, radius / 6))
    colour = _mix(lush, dry, np.clip((patches - 0.4) * 2, 0, 1) * _uniform(rng, 0.2, 0.9))
    blades = value_noise(rng, x.shape, (_uniform(rng, 4, 8), 1.3))
    return _shade(colour, 0.6 + 0.8 * blades)


def water(rng, x, y, radius):
    """Bent horizontal ripples with glints on their crests."""
    deep = _hsv(_uniform(rng, 0.45, 0.64), _uniform(rng, 0.3, 0.75), _uniform(rng, 0.25, 0.6))
    crest = _hsv(_uniform(rng, 0.45, 0.64), _uniform(rng, 0.05, 0.35), _uniform(rng, 0.65, 0.95))
    bend = fractal_noise(rng, x.shape, (radius / 10, radius / 4))
    period = _uniform(rng, 4, 8)
    ripples = 0.5 + 0.5 * np.sin(2 * np.pi * (y / period + 5 * bend))
    chop = value_noise(rng, x.shape, (1.7, _uniform(rng, 5, 10)))
    return _mix(deep, crest, np.clip(ripples * chop * 1.6 - 0.25, 0, 1))


def brick(rng, x, y, radius):
    """Running bond of bricks of various shades, in lighter or darker mortar."""
    clay = _hsv(_uniform(rng, -0.04, 0.1), _uniform(rng, 0.25, 0.7), _uniform(rng, 0.35, 0.75))
    mortar = _hsv(_uniform(rng, 0, 1), _uniform(rng, 0, 0.12), _uniform(rng, 0.25, 0.9))
    x, y = _rotate(x, y, _uniform(rng, -0.2, 0.2))
    height = _uniform(rng, 6, 11)
    width = height * _uniform(rng, 1.8, 2.6)
    course = np.floor(y / height)
    along = x / width + course * np.float32(0.5)
    number = np.floor(along)
    edge_y = np.abs(y / height - course - np.float32(0.5)) * -height + height / 2
    edge_x = np.abs(along - number - np.float32(0.5)) * -width + width / 2
    shades = rng.uniform(0.7, 1.25, 64).astype(np.float32)
    shade = shades[(course * 7 + number * 13).astype(np.int64) % 64]
    grain = value_noise(rng, x.shape, (1.5, 1.5))
    colour = _shade(np.broadcast_to(clay, (*x.shape, 3)), shade * (0.85 + 0.3 * grain))
    joint = _uniform(rng, 0.7, 1.3)
    return _mix(colour, mortar, np.clip(joint + 0.5 - np.minimum(edge_x, edge_y), 0, 1))


def sand(rng, x, y, radius):
    """Fine grain on faint dunes."""
    light = _hsv(_uniform(rng, 0.06, 0.15), _uniform(rng, 0.15, 0.5), _uniform(rng, 0.65, 0.95))
    dark = light * _uniform(rng, 0.6, 0.85)
    dunes = fractal_noise(rng, x.shape, (radius / 12, radius / 4))
    grain = rng.random(x.shape, dtype=np.float32)
    return _shade(_mix(light, dark, np.clip(dunes * 1.6 - 0.3, 0, 1)), 0.82 + 0.36 * grain)


def ball(rng, x, y, radius):
    """Sphere under a lamp, with or without coloured sectors; texture of the disk."""
    hue = _hue(rng, 0.0, 0.07)
    colour = _hsv(hue, _uniform(rng, 0.65, 0.95), _uniform(rng, 0.6, 0.95))
    other = _hsv(hue + _uniform(rng, -0.15, 0.15), _uniform(rng, 0, 0.6), _uniform(rng, 0.6, 1))
    sectors = np.sin(np.arctan2(y, x) * int(rng.integers(2, 5)) + _uniform(rng, 0, 6.3))
    painted = _mix(colour, other, np.clip(sectors * 4 + 0.5, 0, 1) * _uniform(rng, 0, 0.7))
    nx, ny = x / radius, y / radius
    nz = np.sqrt(np.maximum(1 - nx * nx - ny * ny, 0))
    angle = _uniform(rng, 0, 2 * np.pi)
    light = 0.55 * (np.cos(angle) * nx + np.sin(angle) * ny) + 0.8 * nz
    return _shade(painted, 0.45 + 0.7 * np.clip(light, 0, 1))


def planks(rng, x, y, radius):
    """Stripes of two colours with grain along them; texture of the box."""
    hue = _hue(rng, 0.7, 0.1)
    first = _hsv(hue, _uniform(rng, 0.3, 0.8), _uniform(rng, 0.6, 0.95))
    second = _hsv(hue + _uniform(rng, -0.1, 0.1), _uniform(rng, 0.1, 0.7), _uniform(rng, 0.2, 0.8))
    period = _uniform(rng, 4, 9)
    stripes = np.clip(np.sin(2 * np.pi * x / period) * period * 0.3 + 0.5, 0, 1)
    grain = value_noise(rng, x.shape, (2, 2))
    return _shade(_mix(first, second, stripes), 0.85 + 0.3 * grain)


def metal(rng, x, y, radius):
    """Grey or gold with highlights around the centre; texture of the ring."""
    colour = _hsv(_hue(rng, 0.13, 0.03), _uniform(rng, 0.0, 0.55), _uniform(rng, 0.75, 1))
    angle = np.arctan2(y, x)
    shine = np.sin(2 * angle + _uniform(rng, 0, 6.3)) + 0.6 * np.sin(
        int(rng.integers(3, 6)) * angle + _uniform(rng, 0, 6.3)
    )
    return _shade(np.broadcast_to(colour, (*x.shape, 3)), 0.8 + 0.35 * shine)


def glow(rng, x, y, radius):
    """Bright centre fading to saturated tips, dotted; texture of the star."""
    hue = _hue(rng, 0.14, 0.04)
    centre = _hsv(hue, _uniform(rng, 0.05, 0.4), _uniform(rng, 0.85, 1))
    tip = _hsv(hue + _uniform(rng, -0.06, 0.06), _uniform(rng, 0.5, 0.95), _uniform(rng, 0.6, 0.95))
    colour = _mix(centre, tip, np.clip(np.hypot(x, y) / radius * 1.3, 0, 1))
    pitch = _uniform(rng, 4, 7)
    dots = np.cos(2 * np.pi * x / pitch) * np.cos(2 * np.pi * y / pitch)
    return _shade(colour, 1 - 0.4 * np.clip(dots * 3 - 1, 0, 1))


def mottle(rng, x, y, radius):
    """Leafy spots in two tones; texture of the blob."""
    hue = _hue(rng, rng.choice([0.36, 0.84]), 0.05)
    ground = _hsv(hue, _uniform(rng, 0.35, 0.8), _uniform(rng, 0.2, 0.55))
    spot = _hsv(hue + _uniform(rng, -0.1, 0.1), _uniform(rng, 0.3, 0.8), _uniform(rng, 0.5, 0.9))
    cell = _uniform(rng, 3, 6)
    spots = fractal_noise(rng, x.shape, (cell, cell), octaves=2)
    return _mix(ground, spot, np.clip((spots - 0.45) * 7, 0, 1))


def hair(rng, x, y, radius):
    """Black to brown, a little uneven; texture of the strands."""
    colour = _hsv(_hue(rng, 0.06, 0.04), _uniform(rng, 0.2, 0.7), _uniform(rng, 0.06, 0.5))
    return _shade(
        np.broadcast_to(colour, (*x.shape, 3)), 0.75 + 0.5 * value_noise(rng, x.shape, (3, 3))
    )


def _uniform(rng, low, high):
    """One float32 sample, so that images stay float32 throughout."""
    return np.float32(rng.uniform(low, high))


def _hue(rng, centre, spread):
    """A class's usual hue, or, in one of eight draws, any hue."""
    if rng.random() < 0.125:
        return _uniform(rng, 0, 1)
    return _uniform(rng, centre - spread, centre + spread)


def _hsv(hue, saturation, value):
    """RGB colour of a hue (in turns, any real number), saturation and value, float32 (3,)."""
    k = (np.array([5, 3, 1], dtype=np.float32) + np.float32(hue) * 6) % 6
    return value * (1 - saturation * np.clip(np.minimum(k, 4 - k), 0, 1))


def _mix(first, second, weight):
    """Blend of two colours (3,) or (h, w, 3), ``weight`` (h, w) of the second."""
    return first + (second - first) * weight[..., None]


def _shade(colour, brightness):
    """Darken or lighten a colour point by point."""
    return colour * brightness[..., None]


def _rotate(x, y, angle):
    """Coordinates in a frame turned by ``angle`` radians."""
    cos, sin = np.float32(np.cos(angle)), np.float32(np.sin(angle))
    return cos * x + sin * y, cos * y - sin * x
