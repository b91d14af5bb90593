"""What goes wrong with an exposure, as arrays: blur kernels, cloud maps, streaks; all from a Generator.

Kernels are drawn on a grid `fine` times finer than the pixels; lengths are pixels. A family "seen" is for
training; "unseen" draws the same faults by other means, for tests only.
"""

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from scipy import fft, ndimage

Family = Literal["seen", "unseen"]
Floats = NDArray[np.float64]
Single = NDArray[np.float32]


@dataclass(frozen=True, slots=True, eq=False)
class Kernel:
    """A normalised blur on a fine grid, and how much it widens a star: its variances in px²."""

    values: Floats
    xx: float
    yy: float
    xy: float


def log_uniform(rng: np.random.Generator, low: float, high: float) -> float:
    """A number whose logarithm is uniform."""
    return float(np.exp(rng.uniform(np.log(low), np.log(high))))


def ramp(value: float, low: float, high: float) -> float:
    """0 below `low`, 1 above `high`, straight between."""
    return float(np.clip((value - low) / (high - low), 0.0, 1.0))


def grid(half: int, fine: int) -> tuple[Floats, Floats]:
    """Pixel coordinates of a fine grid that covers (2 half + 1) pixels."""
    axis = (np.arange((2 * half + 1) * fine) + 0.5) / fine - (half + 0.5)
    return axis[None, :], axis[:, None]


def kernel_of(values: Floats, half: int, fine: int) -> Kernel:
    """Normalise and take the moments."""
    x, y = grid(half, fine)
    total = values.sum()
    values = values / total
    mx, my = float((values * x).sum()), float((values * y).sum())
    xx = float((values * (x - mx) ** 2).sum())
    yy = float((values * (y - my) ** 2).sum())
    xy = float((values * (x - mx) * (y - my)).sum())
    return Kernel(values, xx, yy, xy)


def convolved(first: Kernel, second: Kernel, half: int, fine: int) -> Kernel:
    """One blur after the other; both on the same grid."""
    shape = (first.values.shape[0] * 2, first.values.shape[1] * 2)
    product = fft.irfft2(fft.rfft2(first.values, shape) * fft.rfft2(second.values, shape), shape)
    side = first.values.shape[0]
    start = (side - 1) // 2
    cut = product[start : start + side, start : start + side]
    return kernel_of(np.maximum(cut, 0.0), half, fine)


def seeing(rng: np.random.Generator, fwhm: float, half: int, fine: int, family: Family) -> Kernel:
    """A star in focus: Moffat or Gaussian; unseen: a core with an exponential halo."""
    x, y = grid(half, fine)
    stretch = 1.0 + min(abs(rng.normal(0.0, 0.11)), 0.42)
    angle = rng.uniform(0.0, np.pi)
    u = (x * np.cos(angle) + y * np.sin(angle)) / np.sqrt(stretch)
    v = (-x * np.sin(angle) + y * np.cos(angle)) * np.sqrt(stretch)
    r2 = u * u + v * v
    if family == "unseen":
        sigma = fwhm / 2.5
        values = np.exp(-0.5 * r2 / sigma**2) + rng.uniform(0.02, 0.12) * np.exp(-np.sqrt(r2) / sigma)
    elif rng.random() < 0.25:
        values = np.exp(-0.5 * r2 / (fwhm / 2.3548) ** 2)
    else:
        beta = rng.uniform(2.3, 5.0)
        alpha = fwhm / 2.0 / np.sqrt(2.0 ** (1.0 / beta) - 1.0)
        values = (1.0 + r2 / alpha**2) ** -beta
    if rng.random() < 0.1:
        spikes = np.exp(-np.abs(u) / (0.3 * fwhm)) + np.exp(-np.abs(v) / (0.3 * fwhm))
        values = values + 0.02 * spikes * np.exp(-np.sqrt(r2) / (3.0 * fwhm))
    if rng.random() < 0.08:  # charge left behind along a row
        values = values + rng.uniform(0.01, 0.08) * np.exp(-0.5 * (y / (0.4 * fwhm)) ** 2) * np.exp(
            -np.maximum(x, 0.0) / rng.uniform(2.0, 6.0)
        ) * (x > 0.0)
    return kernel_of(values, half, fine)


def donut(rng: np.random.Generator, diameter: float, half: int, fine: int, family: Family) -> Kernel:
    """The shadow of the pupil: disc or annulus, spider, uneven light; unseen: astigmatic, obstruction off
    axis.
    """
    x, y = grid(half, fine)
    radius = diameter / 2.0
    squash = rng.uniform(0.65, 0.9) if family == "unseen" else rng.uniform(0.93, 1.0)
    angle = rng.uniform(0.0, np.pi)
    u = x * np.cos(angle) + y * np.sin(angle)
    v = (-x * np.sin(angle) + y * np.cos(angle)) / squash
    soft = max(0.5 / fine, 0.04 * radius)
    values = 1.0 / (1.0 + np.exp(np.clip((np.hypot(u, v) - radius) / soft, -50, 50)))
    if rng.random() < 0.7:
        hole = rng.uniform(0.2, 0.5) * radius
        off = rng.uniform(-0.2, 0.2, 2) * radius if family == "unseen" else np.zeros(2)
        values = values * (
            1.0 - 1.0 / (1.0 + np.exp(np.clip((np.hypot(u - off[0], v - off[1]) - hole) / soft, -50, 50)))
        )
    values = values * (1.0 + rng.uniform(0.0, 0.6) * u / max(radius, 0.5))
    if rng.random() < 0.4:
        width = 0.05 * radius + 0.3
        values = values * (1.0 - 0.8 * np.exp(-((u / width) ** 2))) * (1.0 - 0.8 * np.exp(-((v / width) ** 2)))
    return kernel_of(np.maximum(values, 0.0) + 1e-12 * (np.hypot(x, y) < 1.0), half, fine)


def path(rng: np.random.Generator, length: float, family: Family) -> Floats:
    """Where a star was during an exposure that went wrong, pixels, (N, 2), about its mean; longest side
    `length`.
    """
    time = np.linspace(-0.5, 0.5, 400)
    angle = rng.uniform(0.0, np.pi)
    kind = rng.choice(["line", "jitter", "jump", "walk", "bow", "gust"]) if family == "seen" else "worm"
    across = np.zeros_like(time)
    if kind == "line":
        along = time
    elif kind == "jitter":
        along = time + 0.08 * ndimage.gaussian_filter1d(rng.normal(size=400), 6)
        across = 0.15 * ndimage.gaussian_filter1d(rng.normal(size=400), 12)
    elif kind == "jump":
        stops = np.sort(rng.uniform(-0.35, 0.35, rng.integers(1, 3)))
        along = np.digitize(time, stops) - 1.0 + 0.02 * rng.normal(size=400)
    elif kind == "walk":
        along = np.cumsum(rng.normal(size=400))
        across = 0.25 * np.cumsum(rng.normal(size=400))
    elif kind == "gust":  # at rest but for a few shakes that die away
        along = np.zeros_like(time)
        for start in rng.uniform(-0.45, 0.4, rng.integers(1, 5)):
            since = np.maximum(time - start, 0.0)
            along += rng.normal() * np.sin(since * rng.uniform(40.0, 150.0)) * np.exp(-since * rng.uniform(5.0, 25.0))
        across = 0.3 * ndimage.gaussian_filter1d(along, 3)
    elif kind == "bow":
        along = time
        across = rng.uniform(0.2, 1.0) * time**2
    else:
        along = np.sin(2.0 * np.pi * rng.uniform(0.4, 1.3) * time + rng.uniform(0.0, 6.0)) + rng.uniform(-1, 1) * time
    along = (along - along.mean()) / max(float(np.ptp(along)), 1e-6) * length
    across = (across - across.mean()) * length / max(float(np.ptp(across)), 1.0)
    return np.stack(
        [along * np.cos(angle) - across * np.sin(angle), along * np.sin(angle) + across * np.cos(angle)],
        axis=1,
    )


def path_kernel(points: Floats, half: int, fine: int) -> Kernel:
    """The blur of a star that moved along `points`."""
    side = (2 * half + 1) * fine
    edges = np.linspace(-(half + 0.5), half + 0.5, side + 1)
    values, _y, _x = np.histogram2d(points[:, 1], points[:, 0], bins=(edges, edges))
    return kernel_of(values + 1e-15, half, fine)


def elongation(kernel: Kernel) -> float:
    """Major over minor axis of the kernel's second moments."""
    mean, spread = 0.5 * (kernel.xx + kernel.yy), np.hypot(0.5 * (kernel.xx - kernel.yy), kernel.xy)
    return float(np.sqrt((mean + spread) / max(mean - spread, 1e-6)))


def fractal(rng: np.random.Generator, shape: tuple[int, int], slope: float, coarse: int = 64) -> Single:
    """A smooth random field, mean 0 and spread 1, whose spectrum falls with `slope`; drawn small, then
    enlarged.
    """
    rows, columns = (max(8, coarse * axis // max(shape)) for axis in shape)
    fy, fx = fft.fftfreq(rows)[:, None] * rows, fft.rfftfreq(columns)[None, :] * columns
    power = np.hypot(fx, fy)
    power[0, 0] = 1.0
    field = fft.irfft2(fft.rfft2(rng.normal(size=(rows, columns))) * power ** (-slope / 2.0), (rows, columns))
    return enlarged(field, shape)


def enlarged(field: Floats, shape: tuple[int, int]) -> Single:
    """The field stretched to `shape`, mean 0, spread 1."""
    rows = np.linspace(0, field.shape[0] - 1, shape[0])
    columns = np.linspace(0, field.shape[1] - 1, shape[1])
    low_r, low_c = np.floor(rows).astype(int), np.floor(columns).astype(int)
    up_r, up_c = np.minimum(low_r + 1, field.shape[0] - 1), np.minimum(low_c + 1, field.shape[1] - 1)
    tr, tc = (rows - low_r).astype(np.float32)[:, None], (columns - low_c).astype(np.float32)[None, :]
    small = ((field - field.mean()) / (field.std() + 1e-9)).astype(np.float32)
    top = small[low_r][:, low_c] * (1 - tc) + small[low_r][:, up_c] * tc
    bottom = small[up_r][:, low_c] * (1 - tc) + small[up_r][:, up_c] * tc
    mixed: Single = (top * (1 - tr) + bottom * tr).astype(np.float32)
    return mixed


def cloud(rng: np.random.Generator, shape: tuple[int, int], family: Family) -> Single:
    """The transparency of a cloudy sky, 0..1, over the frame: patches, banks, veils, lids."""
    kind = rng.choice(["patches", "bank", "veil", "lid"], p=[0.4, 0.2, 0.15, 0.25])
    depth = log_uniform(rng, 0.1, 4.0)
    if family == "unseen":
        y, x = np.mgrid[0 : 1 : shape[0] * 1j, 0 : 1 : shape[1] * 1j].astype(np.float32)
        angle, waves = rng.uniform(0, np.pi), rng.uniform(1.0, 5.0)
        field = np.sin(2 * np.pi * waves * (x * np.cos(angle) + y * np.sin(angle)) + rng.uniform(0, 6))
        for _blob in range(rng.integers(1, 5)):
            cx, cy, size = rng.uniform(0, 1), rng.uniform(0, 1), rng.uniform(0.08, 0.4)
            field = field + 1.5 * np.exp(-((x - cx) ** 2 + (y - cy) ** 2) / size**2)
    else:
        field = fractal(rng, shape, rng.uniform(2.2, 3.8))
    if kind == "lid":
        tau = rng.uniform(3.0, 9.0) * (1.0 + rng.uniform(0.0, 0.4) * field)
    elif kind == "veil":
        tau = depth * (1.0 + rng.uniform(0.0, 0.25) * field)
    elif kind == "bank":
        y, x = np.mgrid[-1 : 1 : shape[0] * 1j, -1 : 1 : shape[1] * 1j].astype(np.float32)
        angle = rng.uniform(0, 2 * np.pi)
        edge = 4.0 * (x * np.cos(angle) + y * np.sin(angle)) + rng.uniform(-2.0, 2.0) + field
        tau = 1.5 * depth / (1.0 + np.exp(-edge))
    else:
        tau = depth * np.maximum(0.0, 0.5 + rng.uniform(0.6, 1.5) * field)
    transparency: Single = np.exp(-np.clip(tau, 0.0, 12.0)).astype(np.float32)
    return transparency


def streak(rng: np.random.Generator, shape: tuple[int, int], fwhm: float, family: Family) -> tuple[Single, float]:
    """One satellite or aircraft trail of peak about 1, and its length in pixels inside the frame."""
    rows, columns = shape
    angle = rng.uniform(0.0, np.pi)
    cx, cy = rng.uniform(0.1, 0.9) * columns, rng.uniform(0.1, 0.9) * rows
    y, x = np.mgrid[0:rows, 0:columns].astype(np.float32)
    along = (x - cx) * np.float32(np.cos(angle)) + (y - cy) * np.float32(np.sin(angle))
    across = -(x - cx) * np.float32(np.sin(angle)) + (y - cy) * np.float32(np.cos(angle))
    width = np.float32(max(0.55, fwhm / 2.3548) * rng.uniform(0.9, 1.5))
    line = np.exp(np.float32(-0.5) * (across / width) ** 2)
    if rng.random() < 0.15:  # an aircraft: two lamps
        line = line + np.exp(np.float32(-0.5) * ((across - rng.uniform(6, 25)) / width) ** 2)
    if rng.random() < 0.35:  # begins or ends inside
        reach = rng.uniform(0.15, 0.5) * max(shape)
        line = line / (1.0 + np.exp(np.clip((np.abs(along) - reach) / 2.0, -30, 30)))
    if family == "unseen" or rng.random() < 0.15:  # tumbles or blinks
        line = line * (0.55 + 0.45 * np.sin(along * np.float32(2 * np.pi / rng.uniform(20, 120))))
    ridge = line > 0.5
    return line.astype(np.float32), float(np.count_nonzero(ridge)) / max(float(2.0 * width), 1.0)


def dew(rng: np.random.Generator, fwhm: float, share: float, half: int, fine: int, family: Family) -> Kernel:
    """A dewed or frosted lens: `share` of the light goes into a wide halo, the rest stays where it was."""
    x, y = grid(half, fine)
    radius = np.hypot(x, y)
    width = min(fwhm * log_uniform(rng, 3.0, 10.0), 0.7 * half)
    halo = np.exp(-radius / (0.5 * width)) if family == "seen" else (1.0 + (radius / width) ** 2) ** -1.8
    point = (np.abs(x) < 0.5 / fine + 1e-9) & (np.abs(y) < 0.5 / fine + 1e-9)
    return kernel_of((1.0 - share) * point / point.sum() + share * halo / halo.sum(), half, fine)


def glare(rng: np.random.Generator, shape: tuple[int, int], family: Family) -> Single:
    """Light of dawn or the Moon from one side, 0..1 over the frame: straight, or rising faster to its side."""
    y, x = np.mgrid[-1 : 1 : shape[0] * 1j, -1 : 1 : shape[1] * 1j].astype(np.float32)
    angle = np.float32(rng.uniform(0, 2 * np.pi))
    across = 0.5 + 0.3535 * (x * np.cos(angle) + y * np.sin(angle))
    light = across ** np.float32(rng.uniform(1.0, 2.5))
    if family == "unseen":  # the Moon itself just outside: light falls with the distance from it
        distance = np.hypot(x - np.float32(2.2) * np.cos(angle), y - np.float32(2.2) * np.sin(angle))
        light = (0.8 / np.maximum(distance, 0.8)) ** np.float32(rng.uniform(1.0, 2.0))
    floor = np.float32(rng.uniform(0.0, 0.6))
    glow: Single = (floor + (1 - floor) * light / light.max()).astype(np.float32)
    return glow


def leak(rng: np.random.Generator, shape: tuple[int, int], family: Family) -> Single:
    """Light that came another way than through the lens, peak 1: an amplifier's corner, a lit edge, a beam, an arc."""
    y, x = np.mgrid[-1 : 1 : shape[0] * 1j, -1 : 1 : shape[1] * 1j].astype(np.float32)
    kind = rng.choice(["corner", "edge", "beam"]) if family == "seen" else rng.choice(["arc", "fan"])
    side, reach = np.float32(rng.choice([-1.0, 1.0])), np.float32(log_uniform(rng, 0.08, 0.5))
    if rng.random() < 0.5:
        x, y = y, x
    place = np.float32(rng.uniform(-1.0, 1.0))
    if kind == "corner":
        at = np.hypot(x - side, y - np.float32(rng.choice([-1.0, 1.0]) * rng.uniform(0.4, 1.0)))
        light = np.exp(-at / reach)
    elif kind == "edge":
        light = np.exp(-(1.0 - side * x) / reach) * np.exp(-(((y - place) / np.float32(rng.uniform(0.5, 3.0))) ** 2))
    elif kind == "beam":
        tilt = np.float32(rng.normal(0.0, 0.6))
        light = np.exp(-(((y - place - tilt * x) / reach) ** 2)) * (0.6 + 0.4 * side * x)
    elif kind == "arc":
        at = np.hypot(x - side * np.float32(rng.uniform(1.0, 2.0)), y - place) - np.float32(rng.uniform(0.7, 1.6))
        light = np.exp(-((at / (0.4 * reach)) ** 2))
    else:
        angle = np.arctan2(y - place, 1.05 - side * x)
        light = np.exp(-((angle - np.float32(rng.uniform(-0.5, 0.5))) ** 2) / (0.5 * reach) ** 2) * (1.0 + side * x)
    glow: Single = (light / max(float(light.max()), 1e-6)).astype(np.float32)
    return glow
