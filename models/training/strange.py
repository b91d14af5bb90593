"""Things that do not belong in a frame, planted to see whether they are noticed; nothing learns from them."""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from training.faults import Single, fractal, log_uniform

Plant = Callable[[np.random.Generator, Single, float], Single]


def _grid(shape: tuple[int, ...]) -> tuple[Single, Single]:
    y, x = np.mgrid[0 : shape[0], 0 : shape[1]].astype(np.float32)
    return x, y


def _place(rng: np.random.Generator, shape: tuple[int, ...]) -> tuple[float, float]:
    return float(rng.uniform(0.1, 0.9) * shape[1]), float(rng.uniform(0.1, 0.9) * shape[0])


def ghost(rng: np.random.Generator, values: Single, noise: float) -> Single:
    """The out-of-focus image of a bright star by two reflections: a soft-edged disc with a hole."""
    x, y = _grid(values.shape)
    cx, cy = _place(rng, values.shape)
    radius = log_uniform(rng, 0.05, 0.25) * min(values.shape)
    at = np.hypot(x - cx, y - cy) / radius
    disc = 1.0 / (1.0 + np.exp(np.clip((at - 1.0) * 15.0, -30, 30)))
    disc *= 1.0 - 1.0 / (1.0 + np.exp(np.clip((at - rng.uniform(0.2, 0.45)) * 15.0, -30, 30)))
    return values + np.float32(noise * log_uniform(rng, 0.7, 6.0)) * disc


def flare(rng: np.random.Generator, values: Single, noise: float) -> Single:
    """A satellite that glints for a moment: a short line, bright in its middle."""
    x, y = _grid(values.shape)
    cx, cy = _place(rng, values.shape)
    angle = rng.uniform(0, np.pi)
    along = (x - cx) * np.cos(angle) + (y - cy) * np.sin(angle)
    across = -(x - cx) * np.sin(angle) + (y - cy) * np.cos(angle)
    line = np.exp(-0.5 * (across / rng.uniform(1.0, 3.0)) ** 2 - 0.5 * (along / rng.uniform(15.0, 80.0)) ** 2)
    return values + np.float32(noise * log_uniform(rng, 5.0, 200.0)) * line.astype(np.float32)


def bird(rng: np.random.Generator, values: Single, noise: float) -> Single:
    """Something near that crossed the field, far out of focus: a wide band, darker or lit from below."""
    x, y = _grid(values.shape)
    cx, cy = _place(rng, values.shape)
    angle = rng.uniform(0, np.pi)
    across = -(x - cx) * np.sin(angle) + (y - cy) * np.cos(angle)
    width = rng.uniform(0.02, 0.08) * min(values.shape)
    wobble = 0.6 * width * np.sin((x + y) / rng.uniform(20, 60))
    band = np.exp(-(((across + wobble) / width) ** 4)).astype(np.float32)
    return values + np.float32(rng.choice([-1.0, 1.0]) * noise * log_uniform(rng, 1.0, 8.0)) * band


def insect(rng: np.random.Generator, values: Single, noise: float) -> Single:
    """A body with legs on the sensor's window: light is missing in a ragged, nearly sharp blot."""
    x, y = _grid(values.shape)
    cx, cy = _place(rng, values.shape)
    size = log_uniform(rng, 0.02, 0.1) * min(values.shape) + 4.0
    blot = np.hypot((x - cx) / size, (y - cy) / (0.5 * size)) < 1.0
    for _leg in range(6):
        angle = rng.uniform(0, 2 * np.pi)
        along = (x - cx) * np.cos(angle) + (y - cy) * np.sin(angle)
        across = -(x - cx) * np.sin(angle) + (y - cy) * np.cos(angle)
        blot |= (np.abs(across) < 0.1 * size + 1.0) & (along > 0) & (along < 2.0 * size)
    soft = ndimage.gaussian_filter(blot.astype(np.float32), rng.uniform(1.0, 4.0))
    return values - np.float32(noise * log_uniform(rng, 1.0, 15.0)) * soft


def frost(rng: np.random.Generator, values: Single, noise: float) -> Single:
    """Ice on the sensor's window: a crystalline web over part of the frame."""
    field = fractal(rng, values.shape, 1.6, 256)
    web = np.exp(-((field / 0.12) ** 2))
    where = 1.0 / (1.0 + np.exp(-4.0 * fractal(rng, values.shape, 3.5)))
    return values + np.float32(rng.choice([-1.0, 1.0]) * noise * log_uniform(rng, 1.0, 6.0)) * (web * where)


def banding(rng: np.random.Generator, values: Single, noise: float) -> Single:
    """Electronics: a wave over rows or columns."""
    x, y = _grid(values.shape)
    along = y if rng.random() < 0.5 else x
    wave = np.sin(2 * np.pi * along / log_uniform(rng, 3.0, 40.0) + rng.uniform(0, 6))
    return values + np.float32(noise * log_uniform(rng, 0.3, 3.0)) * wave.astype(np.float32)


def reflection(rng: np.random.Generator, values: Single, noise: float) -> Single:
    """A caustic: an arc of light with a sharp rim."""
    x, y = _grid(values.shape)
    cx, cy = _place(rng, values.shape)
    radius = rng.uniform(0.15, 0.5) * min(values.shape)
    at = np.hypot(x - cx, y - cy) - radius
    rim = np.where(at < 0, np.exp(np.minimum(at, 0.0) / (0.12 * radius)), np.exp(-np.maximum(at, 0.0) / 2.0))
    side = np.clip(np.cos(np.arctan2(y - cy, x - cx) - rng.uniform(0, 6.28)), 0, 1)
    return values + np.float32(noise * log_uniform(rng, 1.0, 10.0)) * (rim * side).astype(np.float32)


def missing_rows(rng: np.random.Generator, values: Single, noise: float) -> Single:
    """Rows that were never read: one value, or the row before repeated."""
    damaged = values.copy()
    first = int(rng.integers(0, values.shape[0] - 8))
    count = int(rng.integers(3, max(4, values.shape[0] // 8)))
    rows = slice(first, first + count)
    level = np.median(values) if rng.random() < 0.5 else 0.0
    damaged[rows] = values[first] if rng.random() < 0.4 else np.float32(level)
    return damaged


def dead_quadrant(rng: np.random.Generator, values: Single, noise: float) -> Single:
    """One of four amplifiers fails: nothing but its read noise, or another gain."""
    damaged = values.copy()
    rows, columns = values.shape[0] // 2, values.shape[1] // 2
    down, right = rng.integers(0, 2, 2)
    part = slice(down * rows, (down + 1) * rows), slice(right * columns, (right + 1) * columns)
    middle = np.float32(np.median(values[part]))
    gain = np.float32(rng.choice([0.0, rng.uniform(0.1, 0.6), rng.uniform(1.6, 3.0)]))
    quiet = rng.normal(0.0, 0.05 * noise, damaged[part].shape).astype(np.float32)
    damaged[part] = middle + gain * (damaged[part] - middle) + quiet
    return damaged


STRANGE: dict[str, Plant] = {
    "ghost": ghost,
    "flare": flare,
    "bird": bird,
    "insect": insect,
    "frost": frost,
    "banding": banding,
    "reflection": reflection,
    "missing rows": missing_rows,
    "dead quadrant": dead_quadrant,
}
"""By what they are. Each takes the frame in ADU and its noise, and gives the frame with the thing in it."""

Values = NDArray[np.float32]
