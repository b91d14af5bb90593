"""A simple simulated sky of our own: stars, nebulae, galaxies, clusters, sensors; wide in range, quick to
draw.
"""

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from training.faults import (
    Family,
    Floats,
    Kernel,
    Single,
    convolved,
    dew,
    donut,
    fractal,
    kernel_of,
    log_uniform,
    path,
    path_kernel,
    seeing,
)


@dataclass(frozen=True, slots=True)
class Optics:
    """What blurs the stars of a frame, pixels: seeing, defocus (donut's diameter), motion (longest side).

    `gaussian_blur` is an extra Gaussian FWHM, `coma` how elongated the corners are (0: not),
    `rotation_deg` the field's turn around a point, `halo` the share of light that a dewed lens scatters.
    """

    fwhm: float
    donut: float = 0.0
    motion: float = 0.0
    gaussian_blur: float = 0.0
    coma: float = 0.0
    rotation_deg: float = 0.0
    halo: float = 0.0


@dataclass(frozen=True, slots=True, eq=False)
class Rendered:
    """A frame before the sensor. Stars are above the sky; electrons.

    `elongation` and `widening` (final over in-focus size) are the kernel's, `psf_fwhm` the final
    size in pixels.
    """

    stars: Single
    glow: Single
    elongation: float
    widening: float
    psf_fwhm: float


@dataclass(frozen=True, slots=True)
class Sensor:
    """A camera: electrons per ADU, read noise in electrons, bits, sky in electrons, defects."""

    gain: float
    read_noise: float
    bits: int
    sky: float
    offset: float
    hot: float
    columns: int
    cosmic: int
    banding: float
    shift: int = 0
    facts: dict[str, float] = field(default_factory=dict)


def draw_sensor(rng: np.random.Generator) -> Sensor:
    """Any camera from a planetary CMOS to an old CCD."""
    bits = int(rng.choice([12, 14, 16], p=[0.3, 0.2, 0.5]))
    sky = log_uniform(rng, 4.0, 8000.0)
    gain = max(log_uniform(rng, 0.1, 4.0) * 2.0 ** (16 - bits) / 4.0, 6.0 * sky / 2.0**bits)
    return Sensor(
        gain=gain,
        read_noise=max(log_uniform(rng, 1.0, 12.0), 0.3 * gain),
        bits=bits,
        sky=sky,
        offset=log_uniform(rng, 20.0, 0.03 * 2.0**bits + 30.0),
        hot=float(rng.choice([0.0, log_uniform(rng, 1e-6, 2e-3)])),
        columns=int(rng.integers(1, 5)) if rng.random() < 0.1 else 0,
        cosmic=int(rng.integers(0, 12)),
        banding=rng.uniform(0.05, 0.5) if rng.random() < 0.12 else 0.0,
        shift=16 - bits if rng.random() < 0.3 else 0,
    )


def psf(rng: np.random.Generator, optics: Optics, family: Family) -> tuple[Kernel, Kernel, int, int]:
    """The whole blur, that of the focused star alone, and the grid (half, fine) that both are drawn on."""
    reach = 3.2 * optics.fwhm + 0.6 * optics.donut + 0.6 * optics.motion + 2.2 * optics.gaussian_blur
    if optics.halo:
        reach = max(reach, 9.0 * optics.fwhm)
    half = int(np.clip(np.ceil(reach), 7, 72))
    fine = 5 if half < 14 else 3 if half < 30 else 2
    star = seeing(rng, optics.fwhm, half, fine, family)
    total = star
    if optics.gaussian_blur:
        x, y = np.meshgrid(*(np.arange((2 * half + 1) * fine) / fine - half,) * 2)
        blur = np.exp(-0.5 * (x**2 + y**2) / (optics.gaussian_blur / 2.3548) ** 2)
        total = convolved(total, kernel_of(blur, half, fine), half, fine)
    if optics.donut:
        total = convolved(total, donut(rng, optics.donut, half, fine, family), half, fine)
    if optics.halo:
        total = convolved(total, dew(rng, optics.fwhm, optics.halo, half, fine, family), half, fine)
    if optics.motion:
        total = convolved(total, path_kernel(path(rng, optics.motion, family), half, fine), half, fine)
    return total, star, half, fine


def render_sky(
    rng: np.random.Generator, shape: tuple[int, int], optics: Optics, depth: float, family: Family
) -> Rendered:
    """Stars and everything extended. `depth`: the noise in electrons, against which brightness is drawn."""
    kernel, star, half, fine = psf(rng, optics, family)
    x, y, flux = _catalogue(rng, shape, optics, depth, _peak_share(kernel, fine))
    stars = np.zeros(shape, dtype=np.float32)
    phases = _phases(kernel.values, half, fine)
    if optics.coma or optics.rotation_deg:
        _add_zoned(rng, stars, x, y, flux, kernel, half, fine, optics)
    else:
        _add(stars, x, y, flux, phases, depth)
    size, stretch = (
        _fault_size(kernel, star, optics.fwhm) if not optics.halo else (optics.fwhm / 2.3548, 1.0)
    )  # a halo widens no core
    if optics.rotation_deg:
        arc = np.deg2rad(optics.rotation_deg) * 0.35 * max(shape)
        stretch = float(np.sqrt(1.0 + arc**2 / 12.0 / size**2))
    glow = _extended(rng, shape, optics, depth)
    return Rendered(stars, glow, stretch, size / (optics.fwhm / 2.3548), 2.3548 * size)


def _fault_size(kernel: Kernel, star: Kernel, fwhm: float) -> tuple[float, float]:
    """Sigma in px and elongation of the final star, its focused core taken as Gaussian (wings left out)."""
    core = (fwhm / 2.3548) ** 2
    xx, yy = core + max(kernel.xx - star.xx, 0.0), core + max(kernel.yy - star.yy, 0.0)
    xy = kernel.xy - star.xy
    mean, spread = 0.5 * (xx + yy), np.hypot(0.5 * (xx - yy), xy)
    return float(np.sqrt(mean)), float(np.sqrt((mean + spread) / max(mean - spread, 1e-3)))


def _peak_share(kernel: Kernel, fine: int) -> float:
    return float(kernel.values.max()) * fine * fine


def _catalogue(
    rng: np.random.Generator, shape: tuple[int, int], optics: Optics, depth: float, peak_share: float
) -> tuple[Floats, Floats, Floats]:
    """Positions and fluxes in electrons: a power law in flux, sometimes a cluster; at least three clear.

    Fluxes are set by the in-focus star, so that a fault spreads the same light over more pixels.
    """
    megapixels = shape[0] * shape[1] / 1e6
    count = int(np.clip(log_uniform(rng, 4.0, 4000.0) * megapixels, 4, 5000))
    slope = rng.uniform(0.6, 1.2)
    faintest = log_uniform(rng, 1.0, 6.0) * depth * (1.13 * max(optics.fwhm, 1.0) ** 2 + 1.0)
    flux = faintest * rng.random(count) ** (-1.0 / slope)
    clear = 3 + int(rng.integers(0, 4))
    flux[:clear] = np.maximum(flux[:clear], faintest * rng.uniform(8.0, 60.0))
    flux = np.minimum(flux, faintest * 1e5)
    x, y = rng.uniform(0, shape[1], count), rng.uniform(0, shape[0], count)
    if rng.random() < 0.12 and count > 60:
        inside = rng.random(count) < rng.uniform(0.4, 0.9)
        radius = min(shape) * rng.uniform(0.05, 0.2) * np.abs(rng.standard_t(2, count))
        angle = rng.uniform(0, 2 * np.pi, count)
        x = np.where(inside, shape[1] * rng.uniform(0.3, 0.7) + radius * np.cos(angle), x)
        y = np.where(inside, shape[0] * rng.uniform(0.3, 0.7) + radius * np.sin(angle), y)
        if rng.random() < 0.4:  # a globular: hardly a star but its own
            flux[inside] = np.minimum(flux[inside], faintest * rng.uniform(10.0, 200.0))
    return x, y, flux


def _phases(values: Floats, half: int, fine: int) -> dict[tuple[int, int], Single]:
    """Pixel-integrated kernels for each sub-pixel shift of the fine grid."""
    side = 2 * half + 1
    shifts = range(-(fine // 2), fine - fine // 2)
    return {
        (dy, dx): np.roll(values, (dy, dx), axis=(0, 1))
        .reshape(side, fine, side, fine)
        .sum(axis=(1, 3))
        .astype(np.float32)
        for dy in shifts
        for dx in shifts
    }


def _add(
    canvas: Single, x: Floats, y: Floats, flux: Floats, phases: dict[tuple[int, int], Single], depth: float
) -> None:
    """Add the stars; faint ones by the kernel's middle only."""
    side = next(iter(phases.values())).shape[0]
    half = side // 2
    fine = round(len(phases) ** 0.5)
    first = phases[0, 0]
    rows, columns = canvas.shape
    ring = np.array(
        [first[half, half : half + 1].sum()] + [float(first[half - r, :].max()) for r in range(1, half + 1)]
    )
    for px, py, light in zip(x.tolist(), y.tolist(), flux.tolist(), strict=True):
        ix, iy = round(px), round(py)
        reach = int(np.searchsorted(-ring, -0.15 * depth / light))
        reach = min(max(reach, 3), half)
        x0, x1, y0, y1 = (
            max(0, ix - reach),
            min(columns, ix + reach + 1),
            max(0, iy - reach),
            min(rows, iy + reach + 1),
        )
        if x0 >= x1 or y0 >= y1:
            continue
        low, high = -(fine // 2), fine - fine // 2 - 1
        key = (min(max(round((py - iy) * fine), low), high), min(max(round((px - ix) * fine), low), high))
        part = phases[key][y0 - iy + half : y1 - iy + half, x0 - ix + half : x1 - ix + half]
        canvas[y0:y1, x0:x1] += np.float32(light) * part


def _add_zoned(
    rng: np.random.Generator,
    canvas: Single,
    x: Floats,
    y: Floats,
    flux: Floats,
    kernel: Kernel,
    half: int,
    fine: int,
    optics: Optics,
) -> None:
    """Stars whose shape depends on where they are: coma grows outward, field rotation along circles."""
    rows, columns = canvas.shape
    cx, cy = columns * rng.uniform(0.35, 0.65), rows * rng.uniform(0.35, 0.65)
    zones = 4
    column = np.clip((x / columns * zones).astype(int), 0, zones - 1)
    row = np.clip((y / rows * zones).astype(int), 0, zones - 1)
    time = np.linspace(-0.5, 0.5, 200)
    for zone in range(zones * zones):
        inside = (row == zone // zones) & (column == zone % zones)
        if not inside.any():
            continue
        dx = (zone % zones + 0.5) / zones * columns - cx
        dy = (zone // zones + 0.5) / zones * rows - cy
        distance = np.hypot(dx, dy) / np.hypot(columns / 2, rows / 2)
        if optics.rotation_deg:
            turn = np.deg2rad(optics.rotation_deg)
            steps = np.stack([-dy * turn * time, dx * turn * time], axis=1)
        else:
            length = optics.coma * distance**2 * optics.fwhm
            unit = np.array([dx, dy]) / max(np.hypot(dx, dy), 1e-6)
            steps = (time + 0.5)[:, None] ** 1.5 * length * unit[None, :]
        blurred = convolved(kernel, path_kernel(np.clip(steps, -half, half), half, fine), half, fine)
        _add(canvas, x[inside], y[inside], flux[inside], _phases(blurred.values, half, fine), 0.5)


def _extended(rng: np.random.Generator, shape: tuple[int, int], optics: Optics, depth: float) -> Single:
    """Nebulae, galaxies, a comet: all of them good."""
    glow = np.zeros(shape, dtype=np.float32)
    if rng.random() < 0.2:
        field = np.exp(fractal(rng, shape, rng.uniform(2.4, 4.0), 96) * rng.uniform(0.4, 1.2))
        glow += np.float32(log_uniform(rng, 0.2, 30.0) * depth) * field / np.float32(np.percentile(field, 98))
    count = int(rng.integers(1, 30)) if rng.random() < 0.3 else 0
    if rng.random() < 0.12:
        _add_galaxy(rng, glow, log_uniform(rng, 20.0, 0.25 * min(shape)), log_uniform(rng, 2.0, 100.0) * depth)
    if rng.random() < 0.06:
        _add_comet(rng, glow, optics.fwhm, log_uniform(rng, 3.0, 200.0) * depth)
    for _galaxy in range(count):
        size = optics.fwhm * rng.uniform(0.6, 3.0) + 0.4 * optics.donut
        _add_galaxy(rng, glow, size, log_uniform(rng, 1.0, 20.0) * depth)
    return glow


def _add_galaxy(rng: np.random.Generator, canvas: Single, size: float, peak: float) -> None:
    """An exponential disc."""
    rows, columns = canvas.shape
    cx, cy = int(rng.integers(0, columns)), int(rng.integers(0, rows))
    reach = int(min(5 * size + 3, max(shape for shape in canvas.shape)))
    x0, x1, y0, y1 = max(0, cx - reach), min(columns, cx + reach), max(0, cy - reach), min(rows, cy + reach)
    y, x = np.mgrid[y0 - cy : y1 - cy, x0 - cx : x1 - cx].astype(np.float32)
    angle, ratio = rng.uniform(0, np.pi), rng.uniform(0.3, 1.0)
    u = x * np.float32(np.cos(angle)) + y * np.float32(np.sin(angle))
    v = (-x * np.float32(np.sin(angle)) + y * np.float32(np.cos(angle))) / np.float32(ratio)
    canvas[y0:y1, x0:x1] += np.float32(peak) * np.exp(-np.sqrt(u * u + v * v + 1.0) / np.float32(size))


def _add_comet(rng: np.random.Generator, canvas: Single, fwhm: float, peak: float) -> None:
    """A coma that falls with the distance from its nucleus, and a tail."""
    rows, columns = canvas.shape
    y, x = np.mgrid[0:rows, 0:columns].astype(np.float32)
    x -= np.float32(rng.uniform(0.15, 0.85) * columns)
    y -= np.float32(rng.uniform(0.15, 0.85) * rows)
    angle, core = rng.uniform(0, 2 * np.pi), np.float32(fwhm * log_uniform(rng, 0.7, 5.0))
    along = x * np.float32(np.cos(angle)) + y * np.float32(np.sin(angle))
    across = -x * np.float32(np.sin(angle)) + y * np.float32(np.cos(angle))
    length = np.float32(log_uniform(rng, 0.05, 0.8) * max(rows, columns))
    width = core + np.float32(rng.uniform(0.03, 0.3)) * np.maximum(along, 0)
    tail = np.exp(-np.maximum(along, 0) / length - (across / width) ** 2) * (along > 0) * core / width
    share = np.float32(rng.uniform(0.0, 0.5))
    canvas += np.float32(peak) * (1.0 / (1.0 + np.hypot(x, y) / core) ** 2 + share * tail)


def expose(rng: np.random.Generator, electrons: Single, sensor: Sensor, family: Family) -> tuple[Single, float]:
    """The raw frame in ADU and its saturation level: photon and read noise, defects, clipping, whole
    numbers.
    """
    noise = rng.standard_normal(electrons.shape, dtype=np.float32)
    frame = electrons + noise * np.sqrt(np.maximum(electrons, 0.0) + np.float32(sensor.read_noise**2))
    _defects(rng, frame, sensor)
    if sensor.banding:
        rows = rng.normal(0.0, sensor.banding * sensor.read_noise, (frame.shape[0], 1)).astype(np.float32)
        frame = frame + (rows if family == "seen" else np.resize(rows[:, 0], frame.shape[1])[None, :])
    top = 2.0**sensor.bits - 1.0
    adu = np.clip(np.rint(frame / np.float32(sensor.gain) + np.float32(sensor.offset)), 0.0, top)
    return (adu * np.float32(2**sensor.shift)).astype(np.float32), top * 2.0**sensor.shift


def _defects(rng: np.random.Generator, frame: NDArray[np.float32], sensor: Sensor) -> None:
    """Hot pixels and columns, cosmic rays."""
    sigma = float(np.sqrt(sensor.sky + sensor.read_noise**2))
    hot = int(sensor.hot * frame.size)
    where = rng.integers(0, frame.size, hot)
    frame.ravel()[where] += (sigma * rng.exponential(40.0, hot)).astype(np.float32)
    for _column in range(sensor.columns):
        frame[:, rng.integers(0, frame.shape[1])] += np.float32(sigma * rng.uniform(0.5, 5.0))
    for _ray in range(sensor.cosmic):
        y, x = rng.integers(3, frame.shape[0] - 8), rng.integers(3, frame.shape[1] - 8)
        steps = rng.integers(1, 6)
        angle = rng.uniform(0, np.pi)
        for step in range(steps):
            frame[y + int(step * np.sin(angle)), x + int(step * np.cos(angle))] += np.float32(
                sigma * rng.uniform(5, 200)
            )
