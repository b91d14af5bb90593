"""Samples for the quality model: a frame drawn or taken, a fault laid over it, measured as by the daemon.

A sample's label says what an owner would throw away: softly where even an owner would hesitate.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray
from scipy import signal

from astrod.errors import InputInvalid
from astrod.measure.frame import measure_plane
from astrod.measure.plane import Plane
from astrod_models.quality import FEATURES, ISSUES, View, prepare
from training.faults import (
    Family,
    Floats,
    Single,
    cloud,
    dew,
    donut,
    glare,
    kernel_of,
    leak,
    log_uniform,
    path,
    path_kernel,
    ramp,
    seeing,
    streak,
)
from training.frames import Piece
from training.sky import Optics, Sensor, draw_sensor, expose, render_sky

FAULTS = ("good", "clouds", "trailing", "defocus", "streak", "seeing", "glare", "leak", "dew", "several")
TRAILED = (1.45, 1.85)
DEFOCUSED = (1.3, 1.8)
"""Elongation, and size over the focused size, between which an owner's patience ends."""

WIDE = (5.5, 8.0)
"""FWHM in pixels of the plane, in focus, between which an owner calls the seeing poor or the pixels too small."""

GLARING = (8.0, 25.0)
LEAKING = (3.0, 10.0)
"""How far the added light differs over the frame, in units of the noise, before it is called so."""

DEWED = (0.15, 0.4)
"""The share of a star's light in the halo; a frame loses its use at twice that."""

_ODDS = (0.33, 0.14, 0.13, 0.12, 0.08, 0.04, 0.04, 0.04, 0.04, 0.04)

_SHAPES = ((512, 512), (274, 484), (400, 640), (700, 900), (1096, 1936), (960, 540))
_SHAPE_ODDS = (0.28, 0.24, 0.22, 0.12, 0.05, 0.09)


@dataclass(frozen=True, slots=True, eq=False)
class Drawn:
    """A plane with what is true of it: `labels` over ISSUES, 0..1."""

    plane: Plane
    labels: Mapping[str, float]
    about: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, eq=False)
class Sample:
    """What the network is given and should say. `targets` follow OUTPUTS: the issues, then usable."""

    tiles: NDArray[np.float16]
    whole: NDArray[np.float16]
    features: NDArray[np.float32]
    targets: NDArray[np.float32]
    baseline: NDArray[np.float32]


def draw_fault(rng: np.random.Generator) -> str:
    """Which fault to lay over a frame, or none."""
    return str(rng.choice(FAULTS, p=_ODDS))


def synthetic(rng: np.random.Generator, fault: str, family: Family) -> Drawn:
    """A simulated frame of any camera and telescope with `fault` laid over it."""
    shape = _SHAPES[int(rng.choice(len(_SHAPES), p=_SHAPE_ODDS))]
    sensor = draw_sensor(rng)
    depth = float(np.sqrt(sensor.sky + sensor.read_noise**2))
    wanted = _wanted(rng, fault)
    optics = _optics(rng, wanted, family)
    rendered = render_sky(rng, shape, optics, depth, family)
    sky = _sky(rng, shape, sensor)
    light = rendered.stars + rendered.glow
    labels = dict.fromkeys(ISSUES, 0.0)
    if "clouds" in wanted:
        light, sky, labels["clouds"] = _clouded(rng, light, sky, family, sensor.sky)
    if "dew" in wanted:
        light = light * np.float32(1.0 - 0.6 * rng.random() * optics.halo)
        labels["dew"] = ramp(optics.halo, *DEWED)
    electrons = light + sky
    if "glare" in wanted or "leak" in wanted or rng.random() < 0.05:
        added, labels = _strayed(rng, shape, wanted, sky, sensor, family, labels)
        electrons = electrons + added
    if "streak" in wanted:
        electrons, labels["streak"] = _streaked(rng, electrons, depth, optics.fwhm, family)
    values, top = expose(rng, electrons, sensor, family)
    labels["trailing"] = ramp(rendered.elongation, *TRAILED) if "trailing" in wanted else 0.0
    if "defocus" in wanted:
        labels["defocus"] = ramp(rendered.widening, *DEFOCUSED)
    else:
        labels["seeing"] = ramp(optics.fwhm, *WIDE)
    scale = 2 if rng.random() < 0.3 else 1
    known = top if rng.random() < 0.7 else None
    about = {"fwhm": optics.fwhm, "elongation": rendered.elongation, "widening": rendered.widening}
    return Drawn(Plane(values, None, scale, known), labels, about)


def _strayed(
    rng: np.random.Generator,
    shape: tuple[int, int],
    wanted: tuple[str, ...],
    sky: Single,
    sensor: Sensor,
    family: Family,
    labels: dict[str, float],
) -> tuple[Single, dict[str, float]]:
    """Light of dawn or Moon, or a leak; where neither is wanted, a trace of one that nobody would mind."""
    full = 0.8 * 2.0**sensor.bits * sensor.gain
    kind = "glare" if "glare" in wanted else "leak" if "leak" in wanted else str(rng.choice(["glare", "leak"]))
    base = float(np.median(sky)) + sensor.read_noise**2
    if kind == "glare":
        form, least, most = glare(rng, shape, family), 6.0, 400.0
    else:
        form, least, most = leak(rng, shape, family), 2.0, 150.0
    sigmas = log_uniform(rng, least, most) if kind in wanted else least * rng.random()
    span = float(np.ptp(form))
    height = min(sigmas * np.sqrt(base) / max(span, 0.05), max(full - base, 0.1 * base))
    noise = np.sqrt(base + height * float(np.median(form)))
    labels[kind] = ramp(height * span / noise, *(GLARING if kind == "glare" else LEAKING))
    return np.float32(height) * form, labels


def _wanted(rng: np.random.Generator, fault: str) -> tuple[str, ...]:
    if fault == "several":
        pair = rng.choice(["clouds", "trailing", "defocus", "streak", "glare", "leak"], 2, replace=False).tolist()
        return tuple(pair)
    if fault != "good" and rng.random() < 0.06:
        return (fault, "streak")
    return (fault,)


def _optics(rng: np.random.Generator, wanted: tuple[str, ...], family: Family) -> Optics:
    usual = float(np.clip(2.6 * np.exp(rng.normal(0.0, 0.45)), 1.2, 12.0))
    fwhm = usual if rng.random() < 0.65 else log_uniform(rng, 1.2, 12.0)  # long telescopes, small pixels
    if "seeing" in wanted:
        return Optics(log_uniform(rng, 5.0, 12.0))
    if "dew" in wanted:
        return Optics(min(fwhm, 7.0), halo=rng.uniform(0.1, 0.85))
    coma = rng.uniform(0.5, 2.5) if rng.random() < 0.1 else 0.0
    if "trailing" in wanted:
        if rng.random() < 0.1:
            return Optics(fwhm, rotation_deg=log_uniform(rng, 0.6, 6.0))
        mild = rng.random() < 0.2
        motion = fwhm * (rng.uniform(0.3, 1.2) if mild else log_uniform(rng, 2.1, 9.0))
        return Optics(fwhm, motion=min(max(motion, 0.0 if mild else 4.0), 80.0))
    if "defocus" in wanted:
        fwhm = min(fwhm, 6.0)
        if rng.random() < 0.1:  # so wide that no seeing explains it
            return Optics(fwhm, gaussian_blur=max(fwhm * rng.uniform(2.0, 4.0), rng.uniform(15.0, 22.0)))
        mild = rng.random() < 0.2
        diameter = fwhm * (rng.uniform(0.3, 1.2) if mild else log_uniform(rng, 2.0, 12.0))
        return Optics(fwhm, donut=min(max(diameter, 0.0 if mild else 6.0), 70.0))
    return Optics(fwhm, coma=coma if family == "seen" else 0.0)


def _sky(rng: np.random.Generator, shape: tuple[int, int], sensor: Sensor) -> Single:
    """Sky glow with some slope, vignetting; all of them good."""
    y, x = np.mgrid[-1 : 1 : shape[0] * 1j, -1 : 1 : shape[1] * 1j].astype(np.float32)
    sky = np.full(shape, sensor.sky, dtype=np.float32)
    angle = np.float32(rng.uniform(0, 2 * np.pi))
    slope = np.float32(min(rng.choice([0.02, 0.1, 0.4]) * rng.random(), 3.0 / np.sqrt(sensor.sky)))
    sky *= 1 + slope * (x * np.cos(angle) + y * np.sin(angle))
    sky *= 1 - np.float32(rng.uniform(0.0, 0.4) * (rng.random() < 0.5)) * 0.5 * (x * x + y * y)
    return sky


def _clouded(
    rng: np.random.Generator, light: Single, sky: Single, family: Family, level: float
) -> tuple[Single, Single, float]:
    """Light dimmed by cloud, sky brightened (towns, moon) or darkened by it, and the label."""
    clear = cloud(rng, light.shape, family)
    lit = rng.uniform(0.05, 3.0) if rng.random() < 0.8 else -rng.uniform(0.1, 0.6)
    glow = sky * (1 + np.float32(lit) * (1 - clear))
    lost = 1.0 - float(clear.mean())
    return light * clear, glow.astype(np.float32), ramp(lost, 0.2, 0.5)


def _streaked(
    rng: np.random.Generator, electrons: Single, noise: float, fwhm: float, family: Family
) -> tuple[Single, float]:
    """One to three trails, faint to bright; the label is how surely they can be seen."""
    seen = 0.0
    for _trail in range(int(rng.choice([1, 2, 3], p=[0.75, 0.17, 0.08]))):
        line, length = streak(rng, electrons.shape, fwhm, family)
        height = log_uniform(rng, 0.8, 150.0)
        electrons = electrons + np.float32(height * noise) * line
        seen = max(seen, height * np.sqrt(length * max(fwhm, 1.2)))
    return electrons, ramp(np.log10(max(seen, 1.0)), 1.35, 1.7)


def overlaid(rng: np.random.Generator, base: Piece, fault: str, family: Family) -> Drawn:
    """A fault laid over a piece of a real frame."""
    wanted = _wanted(rng, fault)
    labels = dict.fromkeys(ISSUES, 0.0)
    labels["trailing"] = base.trailing
    labels["seeing"] = ramp(base.fwhm, *WIDE)
    light, rest = base.light, base.rest
    if not {"trailing", "defocus", "seeing", "dew"}.isdisjoint(wanted):
        light, added = _blurred(rng, base, wanted, family)
        labels.update(added)
    middle = float(np.median(rest))
    if "clouds" in wanted:
        light, rest, labels["clouds"] = _clouds_over(rng, light, rest, base.noise, family)
    for kind in ("glare", "leak"):
        if kind in wanted:
            rest, labels[kind] = _stray_over(rng, kind, rest, base.noise, family)
    values = light + rest
    if "streak" in wanted:
        values, labels["streak"] = _streaked(rng, values, base.noise, base.fwhm, family)
    if fault != "good" or rng.random() < 0.5:
        extra = base.noise * rng.choice([0.0, 0.3, 1.0]) * rng.random()
        gain = log_uniform(rng, 0.3, 3.0)
        values = (values - middle + rng.normal(0.0, 1.0, values.shape) * extra) * gain + middle
    values = np.rint(values).astype(np.float32) if base.noise > 3.0 else values.astype(np.float32)
    return Drawn(Plane(np.ascontiguousarray(values), None, base.scale_px, base.saturation_adu), labels)


def _blurred(
    rng: np.random.Generator, base: Piece, wanted: tuple[str, ...], family: Family
) -> tuple[Single, dict[str, float]]:
    """The light of the sources through a donut or along a path, and what that makes of the labels."""
    optics = _optics(rng, wanted, "unseen")
    fwhm = float(np.clip(base.fwhm, 1.0, 12.0))
    core = (fwhm / 2.3548) ** 2
    reach = max(optics.donut, optics.gaussian_blur * 2, optics.motion) / optics.fwhm * fwhm
    half = int(np.clip(np.ceil(0.6 * reach) + 3, 6, 80))
    light, labels = base.light, {}
    if "seeing" in wanted:
        wide = max(log_uniform(rng, 5.0, 11.0), 1.2 * fwhm)
        blur = seeing(rng, float(np.sqrt(wide**2 - fwhm**2)), int(3.2 * wide) + 3, 1, family)
        light, labels["seeing"] = _through(light, blur.values), ramp(wide, *WIDE)
    if "dew" in wanted:
        share = rng.uniform(0.1, 0.85)
        light = _through(light, dew(rng, fwhm, share, int(min(9.0 * fwhm + 4, 60)), 1, family).values)
        light = light * np.float32(1.0 - 0.6 * rng.random() * share)
        labels["dew"] = ramp(share, *DEWED)
    if "defocus" in wanted:
        labels["seeing"] = 0.0
        kernel = kernel_of(np.zeros((2 * half + 1,) * 2) + 1e-9, half, 1)
        if optics.gaussian_blur:
            axis = np.arange(2 * half + 1) - half
            sigma = optics.gaussian_blur * fwhm / optics.fwhm / 2.3548
            ring = np.exp(-0.5 * (axis[None] ** 2 + axis[:, None] ** 2) / sigma**2)
            kernel = kernel_of(ring, half, 1)
        else:
            diameter = max(optics.donut * fwhm / optics.fwhm, 5.0 if optics.donut > 5.9 else 1.0)
            kernel = donut(rng, diameter, half, 1, family)
        light = _through(light, kernel.values)
        labels["defocus"] = ramp(float(np.sqrt(1.0 + 0.5 * (kernel.xx + kernel.yy) / core)), *DEFOCUSED)
    if "trailing" in wanted:
        length = max(optics.motion, optics.rotation_deg * 3.0) * fwhm / optics.fwhm
        track = path_kernel(path(rng, min(length, 1.5 * half), family), half, 1)
        light = _through(light, track.values)
        labels["trailing"] = max(base.trailing, ramp(_stretched(track.xx, track.yy, track.xy, core), *TRAILED))
    return light, labels


def _stretched(xx: float, yy: float, xy: float, core: float) -> float:
    mean, spread = core + 0.5 * (xx + yy), np.hypot(0.5 * (xx - yy), xy)
    return float(np.sqrt((mean + spread) / max(mean - spread, 1e-3)))


def _through(light: Single, kernel: Floats) -> Single:
    blurred: Single = signal.fftconvolve(light, kernel.astype(np.float32), mode="same").astype(np.float32)
    return blurred


def _clouds_over(
    rng: np.random.Generator, light: Single, rest: Single, noise: float, family: Family
) -> tuple[Single, Single, float]:
    """Cloud over a real frame, whose zero level is unknown: the sky is taken as at most 400 noise² above
    it.
    """
    clear = cloud(rng, light.shape, family)
    middle = float(np.median(rest))
    level = min(middle, log_uniform(rng, 5.0, 300.0) * noise)
    lit = rng.uniform(0.05, 3.0) if rng.random() < 0.8 else -rng.uniform(0.1, 0.6)
    added = np.float32(level * lit) * (1 - clear)
    grain = rng.standard_normal(light.shape, dtype=np.float32) * np.sqrt(np.maximum(added, 0) / max(level, 1e-6))
    rest = rest + added + np.float32(noise) * grain
    return light * clear, rest.astype(np.float32), ramp(1.0 - float(clear.mean()), 0.2, 0.5)


def _stray_over(
    rng: np.random.Generator, kind: str, rest: Single, noise: float, family: Family
) -> tuple[Single, float]:
    """Glare or a leak over a real frame, with the noise of its own light."""
    form = glare(rng, rest.shape, family) if kind == "glare" else leak(rng, rest.shape, family)
    sigmas = log_uniform(rng, 6.0, 100.0) if kind == "glare" else log_uniform(rng, 2.0, 80.0)
    span = float(np.ptp(form))
    height = sigmas * noise / max(span, 0.05)
    level = min(float(np.median(rest)), log_uniform(rng, 20.0, 1000.0) * noise)
    grain = rng.standard_normal(rest.shape, dtype=np.float32) * np.sqrt(
        np.maximum(form * height / max(level, noise), 0)
    )
    lifted = noise * np.sqrt(1.0 + height * float(np.median(form)) / max(level, noise))
    label = ramp(height * span / lifted, *(GLARING if kind == "glare" else LEAKING))
    return (rest + np.float32(height) * form + np.float32(noise) * grain).astype(np.float32), label


def sampled(drawn: Drawn) -> Sample | None:
    """Measured and prepared as in the daemon; None where measuring refuses the frame."""
    try:
        measured, seen = measure_plane(drawn.plane)
    except InputInvalid:
        return None
    tiles, whole, features = prepare(View(seen.above, seen.sky, seen.x, seen.y, seen.values))
    targets = np.array([drawn.labels[name] for name in ISSUES] + [usable(drawn.labels)], dtype=np.float32)
    simple = (measured.stars, measured.fwhm_px or 0.0, measured.elongation or 0.0)
    return Sample(
        tiles.astype(np.float16),
        whole.astype(np.float16),
        features,
        targets,
        np.array(simple, dtype=np.float32),
    )


def usable(labels: Mapping[str, float]) -> float:
    """The chance that an owner keeps it: neither clouds, trailing nor defocus, and no heavy dew."""
    sharp = (1.0 - labels["clouds"]) * (1.0 - labels["trailing"]) * (1.0 - labels["defocus"])
    return sharp * (1.0 - 0.8 * max(0.0, 2.0 * labels["dew"] - 1.0))


FEATURE_COUNT = len(FEATURES)
