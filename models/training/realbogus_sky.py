"""A field of sky seen twice: stars, galaxies, new light, and what seeing, wells and noise make of them.

Brightness is in units of the science image's sky noise, places in pixels.
"""

from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

Family = Literal["seen", "unseen"]
"""Which widths, profiles and noises: those of training, or those that it never meets."""

Plane = NDArray[np.float64]

GRID = 160
MARGIN = 12


@dataclass(frozen=True, slots=True)
class Psf:
    """A star's light: Moffat of this width (pixels), index, axis ratio and angle, in copies (dx, dy, weight)."""

    fwhm: float
    beta: float
    ratio: float
    angle: float
    copies: tuple[tuple[float, float, float], ...] = ((0.0, 0.0, 1.0),)
    hole: float = 0.0

    def light(self, x: float, y: float, columns: Plane, rows: Plane) -> Plane:
        """Normalised surface brightness of a star at (x, y)."""
        total: Plane = sum(
            weight * self._moffat(columns - np.float32(x + dx), rows - np.float32(y + dy))
            for dx, dy, weight in self.copies
        )
        return total

    def _moffat(self, dx: Plane, dy: Plane) -> Plane:
        cosine, sine = np.float32(np.cos(self.angle)), np.float32(np.sin(self.angle))
        along, across = cosine * dx + sine * dy, cosine * dy - sine * dx
        wide = self.fwhm / np.sqrt(self.ratio) / 2.0 / np.sqrt(2.0 ** (1.0 / self.beta) - 1.0)
        narrow = wide * self.ratio
        inside = np.float32(1.0) + (along * np.float32(1.0 / wide)) ** 2 + (across * np.float32(1.0 / narrow)) ** 2
        light: Plane = (
            (self.beta - 1.0) / float(np.pi * wide * narrow) * np.exp(np.float32(-self.beta) * np.log(inside))
        )
        if self.hole:
            core = self.hole * np.exp(-2.0 * (along**2 + across**2) / self.fwhm**2)
            light = light * (1.0 - core)
        return light


@dataclass(frozen=True, slots=True)
class Star:
    """One source of the field: fluxes in the two images, offset of the reference's position."""

    x: float
    y: float
    science: float
    reference: float
    dx: float
    dy: float


@dataclass(frozen=True, slots=True)
class Mark:
    """A place where something is known to be."""

    x: float
    y: float
    kind: str
    reach: float


def psf_of(rng: np.random.Generator, family: Family) -> Psf:
    """`unseen`: widths, profiles and shapes that training never meets."""
    if family == "unseen":
        fwhm = float(rng.uniform(3.4, 4.4) if rng.random() < 0.7 else rng.uniform(7.6, 9.0))
        copies = _coma(rng, fwhm)
        return Psf(fwhm, 6.0, float(rng.uniform(0.8, 1.0)), float(rng.uniform(0, np.pi)), copies, 0.5)
    fwhm = float(np.exp(rng.uniform(np.log(1.3), np.log(3.3))))
    if rng.random() < 0.3:
        fwhm = float(rng.uniform(4.5, 7.5))
    ratio = 1.0 - 0.3 * rng.random() ** 2
    copies = trailed(rng, fwhm) if rng.random() < 0.15 else ((0.0, 0.0, 1.0),)
    return Psf(fwhm, float(rng.uniform(2.2, 5.0)), ratio, float(rng.uniform(0, np.pi)), copies)


def _coma(rng: np.random.Generator, fwhm: float) -> tuple[tuple[float, float, float], ...]:
    angle, reach = rng.uniform(0, 2 * np.pi), rng.uniform(0.2, 0.7) * fwhm
    steps = ((0.0, 0.6), (0.5, 0.25), (1.0, 0.15))
    return tuple((reach * s * float(np.cos(angle)), reach * s * float(np.sin(angle)), w) for s, w in steps)


def trailed(rng: np.random.Generator, fwhm: float) -> tuple[tuple[float, float, float], ...]:
    """A mount that drifts: copies along a line, up to a width long."""
    angle, length = rng.uniform(0, np.pi), rng.uniform(0.3, 1.0) * fwhm
    steps = np.linspace(-0.5, 0.5, 5)
    return tuple((float(length * s * np.cos(angle)), float(length * s * np.sin(angle)), 0.2) for s in steps)


def other_psf(rng: np.random.Generator, psf: Psf) -> Psf:
    """The reference's: mostly sharper and rounder, sometimes broader."""
    factor = float(np.exp(rng.normal(-0.12, 0.2)))
    fwhm = float(np.clip(psf.fwhm * factor, 1.2, 10.0))
    angle = float(rng.uniform(0, np.pi))
    beta = float(np.clip(psf.beta + rng.normal(0, 0.4), 2.0, 7.0))
    return Psf(fwhm, beta, 1.0 - 0.5 * (1.0 - psf.ratio), angle, hole=psf.hole)


def stars_of(rng: np.random.Generator, psf: Psf) -> list[Star]:
    """A power law of brightness; misregistration shared, some proper motion, some variability."""
    count = int(np.exp(rng.uniform(np.log(4), np.log(250))) * min(1.0, (4.0 / psf.fwhm) ** 1.5)) + 2
    faintest = 2.0 * psf.fwhm
    flux = faintest * np.minimum(rng.pareto(float(rng.uniform(0.45, 1.0)), count) + 1.0, 3e4)
    off = float(np.exp(rng.uniform(np.log(0.01), np.log(0.6)))) * rng.normal(size=2) * 0.7
    scatter = amplitude(rng, 0.002, 0.02)
    scale = 1.0 + rng.normal(0.0, 0.02)
    stars = []
    for brightness in flux:
        x, y = rng.uniform(-8, GRID + 8, 2)
        motion = rng.normal(0.0, 0.3, 2) if rng.random() < 0.04 else np.zeros(2)
        varied = brightness * scale * (1.0 + rng.normal(0.0, scatter))
        stars.append(Star(x, y, varied, float(brightness), off[0] + motion[0], off[1] + motion[1]))
    return stars


def signal_flux(psf: Psf, signal: float) -> float:
    """The flux that a matched filter finds at this signal-to-noise in unit sky noise."""
    axis = np.arange(-20.0, 21.0)
    light = psf.light(0.0, 0.0, axis[None], axis[:, None])
    return float(signal / np.sqrt((light**2).sum()))


def with_transients(
    rng: np.random.Generator, stars: list[Star], psf: Psf, marks: list[Mark]
) -> tuple[list[Star], Plane]:
    """New light in the science image: alone, beside or in stars, moving or at rest."""
    new = np.zeros((GRID, GRID))
    weights = np.sqrt([star.reference for star in stars])
    for _ in range(4):
        flux = signal_flux(psf, float(np.exp(rng.uniform(np.log(6.0), np.log(150.0)))))
        x, y = rng.uniform(MARGIN + 8, GRID - MARGIN - 8, 2)
        if any(np.hypot(mark.x - x, mark.y - y) < 2.0 * mark.reach for mark in marks):
            continue
        host = int(rng.choice(len(stars), p=weights / weights.sum()))
        inside = min(stars[host].x, stars[host].y) > MARGIN + 4 and max(stars[host].x, stars[host].y) < GRID - 16
        place = rng.random()
        if place < 0.3 and inside:
            star = stars[host]
            flux = max(flux, amplitude(rng, 0.1, 1.5) * star.reference)
            stars = [*stars[:host], replace(star, science=star.science + flux), *stars[host + 1 :]]
            x, y = star.x, star.y
        else:
            if place < 0.4 and inside:
                x, y = stars[host].x + rng.normal(0, 1.5 * psf.fwhm), stars[host].y + rng.normal(0, 1.5 * psf.fwhm)
            moved = replace(psf, copies=trailed(rng, psf.fwhm)) if rng.random() < 0.2 else psf
            add(new, moved, x, y, flux)
        marks.append(Mark(float(x), float(y), "transient", 3.0 + 2.0 * psf.fwhm))
    return stars, new


def add(image: Plane, psf: Psf, x: float, y: float, flux: float) -> None:
    """Put a star into the image, as far out as it matters."""
    reach = int(np.clip(psf.fwhm * (2.0 + 0.6 * np.log10(1.0 + flux) ** 2), 6, 70))
    left, right = max(0, int(x) - reach), min(GRID, int(x) + reach + 1)
    top, bottom = max(0, int(y) - reach), min(GRID, int(y) + reach + 1)
    if left >= right or top >= bottom:
        return
    rows, columns = np.arange(top, bottom, dtype=np.float32)[:, None], np.arange(left, right, dtype=np.float32)[None]
    if psf.fwhm < 2.5:
        steps = (-0.25, 0.25)
        light = sum(psf.light(x, y, columns + a, rows + b) for a in steps for b in steps) / 4.0
    else:
        light = psf.light(x, y, columns, rows)
    image[top:bottom, left:right] += flux * light


def exposed(stars: list[Star], science_psf: Psf, reference_psf: Psf) -> tuple[Plane, Plane]:
    science, reference = np.zeros((GRID, GRID)), np.zeros((GRID, GRID))
    for star in stars:
        add(science, science_psf, star.x, star.y, star.science)
        add(reference, reference_psf, star.x + star.dx, star.y + star.dy, star.reference)
    return science, reference


def add_galaxies(rng: np.random.Generator, science: Plane, reference: Plane, a: Psf, b: Psf, marks: list[Mark]) -> None:
    """Exponential-like blobs, blurred in each image by its seeing; some where there is a transient."""
    for _ in range(int(rng.poisson(1.5))):
        x, y = rng.uniform(0, GRID, 2)
        if marks and rng.random() < 0.3:
            x, y = marks[0].x + rng.normal(0.0, 3.0), marks[0].y + rng.normal(0.0, 3.0)
        size, ratio, angle = rng.uniform(1.0, 8.0), rng.uniform(0.3, 1.0), rng.uniform(0, np.pi)
        flux = float(np.exp(rng.uniform(np.log(50.0), np.log(2e4))))
        for image, psf in ((science, a), (reference, b)):
            blurred = float(np.hypot(2.0 * size, psf.fwhm))
            add(image, Psf(blurred, 2.5, max(ratio, psf.fwhm / blurred * 0.8), angle), x, y, flux)


def add_spikes(
    rng: np.random.Generator, stars: list[Star], science: Plane, reference: Plane, marks: list[Mark]
) -> None:
    """Diffraction spikes of the brightest stars, turned between the images or not."""
    if rng.random() > 0.3:
        return
    angle = rng.uniform(0, np.pi)
    turn = rng.normal(0, 0.2) if rng.random() < 0.5 else 0.0
    rows, columns = np.mgrid[:GRID, :GRID]
    for star in sorted(stars, key=lambda star: -star.science)[:2]:
        if star.science < 3000:
            continue
        strength, length = 2e-4 * star.science * rng.uniform(0.3, 2.0), rng.uniform(10, 50)
        for arm in range(2):
            for image, tilt in ((science, angle), (reference, angle + turn)):
                dx, dy = columns - star.x, rows - star.y
                cosine, sine = np.cos(tilt + arm * np.pi / 2), np.sin(tilt + arm * np.pi / 2)
                along, across = dx * cosine + dy * sine, dy * cosine - dx * sine
                image += strength * np.exp(-np.abs(along) / length - 0.5 * (across / 0.9) ** 2)
        marks.append(Mark(star.x, star.y, "spike", 12.0))


def saturate(rng: np.random.Generator, science: Plane, reference: Plane) -> None:
    """Full wells, and sometimes columns that bleed."""
    for image in (science, reference):
        level = float(np.exp(rng.uniform(np.log(300.0), np.log(3e4))))
        full = image > level
        if full.any() and rng.random() < 0.4:
            reach = int(rng.integers(3, 30))
            along = ndimage.binary_dilation(full, np.ones((2 * reach + 1, 1), dtype=bool))
            narrow = along & (image > 0.0) & (ndimage.maximum_filter(full, (1, 1)) | (rng.random() < 0.5))
            image[narrow & ~full] += 0.3 * level * rng.random()
        np.minimum(image, level, out=image)


def noise_of(rng: np.random.Generator, family: Family, image: Plane, sky: float, poisson: float) -> Plane:
    """Sky and photon noise; smoothed as resampling does. `unseen`: banded and wider smoothed."""
    noise = rng.normal(size=image.shape) * np.sqrt(sky**2 + poisson * np.maximum(image, 0.0))
    if family == "unseen":
        noise = ndimage.gaussian_filter(noise, 0.6) * 2.0
        banding: Plane = noise + 0.35 * sky * rng.normal(size=(GRID, 1))
        return banding
    if rng.random() < 0.5:
        a, b = rng.uniform(0.0, 0.5, 2)
        noise = (1 - a) * noise + a * np.roll(noise, 1, 0)
        noise = (1 - b) * noise + b * np.roll(noise, 1, 1)
    return noise


def amplitude(rng: np.random.Generator, low: float, high: float) -> float:
    return float(np.exp(rng.uniform(np.log(low), np.log(high))))
