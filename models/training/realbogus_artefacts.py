"""What is in an image and is not sky: cosmic rays, hot pixels and columns, trails, glints, ghosts, and gaps."""

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from training.realbogus_sky import GRID, MARGIN, Mark, Plane, Psf, Star, add, amplitude, signal_flux

_REACH_PX = 3.0
"""A peak nearer than this to a pixel-sized artefact is that artefact."""


def add_artefacts(rng: np.random.Generator, science: Plane, psf: Psf, marks: list[Mark]) -> None:
    """Everything in the science image that is not sky."""
    add_cosmic_rays(rng, science, marks, 3)
    _hot_pixels(rng, science, marks)
    if rng.random() < 0.15:
        _column(rng, science, marks)
    if rng.random() < 0.15:
        _trail(rng, science, psf, marks)
    if rng.random() < 0.3:
        _glints(rng, science, psf, marks)
    if rng.random() < 0.25:
        _ghost(rng, science, psf, marks)


def _place(rng: np.random.Generator) -> tuple[float, float]:
    x, y = rng.uniform(MARGIN + 2, GRID - MARGIN - 2, 2)
    return float(x), float(y)


def add_cosmic_rays(rng: np.random.Generator, image: Plane, marks: list[Mark], mean: float) -> None:
    """Short, sharp tracks; some diffused a little, some bent."""
    for _ in range(int(rng.poisson(mean))):
        x, y = _place(rng)
        angle, length = rng.uniform(0, 2 * np.pi), abs(rng.normal(0, 5.0))
        steps = int(length * 2) + 1
        heading = angle + np.cumsum(rng.normal(0, 0.1 if rng.random() < 0.8 else 0.5, steps))
        across = x + np.cumsum(0.5 * np.cos(heading)) - 0.5 * np.cos(heading[0])
        down = y + np.cumsum(0.5 * np.sin(heading)) - 0.5 * np.sin(heading[0])
        top, left = max(0, int(down.min()) - 4), max(0, int(across.min()) - 4)
        part = image[top : int(down.max()) + 5, left : int(across.max()) + 5]
        track = np.zeros(part.shape)
        row = np.clip(np.rint(down - top).astype(int), 0, part.shape[0] - 1)
        column = np.clip(np.rint(across - left).astype(int), 0, part.shape[1] - 1)
        track[row, column] = amplitude(rng, 7.0, 400.0) * rng.uniform(0.5, 1.0, steps)
        if rng.random() < 0.6:
            track = ndimage.gaussian_filter(track, rng.uniform(0.25, 0.5))
        part += track
        marks.extend(Mark(float(c), float(r), "cosmic ray", _REACH_PX) for c, r in zip(across, down, strict=True))


def _hot_pixels(rng: np.random.Generator, image: Plane, marks: list[Mark]) -> None:
    """Single pixels, and single pixels that a resampling has spread over their neighbours."""
    for _ in range(int(rng.poisson(2.0))):
        x, y = (int(value) for value in _place(rng))
        spike = np.zeros((3, 3))
        spike[1, 1] = amplitude(rng, 8.0, 300.0)
        if rng.random() < 0.5:
            a, b = rng.uniform(0.0, 0.5, 2)
            spike = (1 - a) * spike + a * np.roll(spike, 1, 0)
            spike = (1 - b) * spike + b * np.roll(spike, 1, 1)
        image[y - 1 : y + 2, x - 1 : x + 2] += spike
        marks.append(Mark(float(x), float(y), "hot pixel", _REACH_PX))


def _column(rng: np.random.Generator, image: Plane, marks: list[Mark]) -> None:
    """A bad column or row, or a part of one."""
    where = int(rng.integers(MARGIN + 4, GRID - MARGIN - 4))
    first, last = sorted(int(value) for value in rng.integers(0, GRID, 2))
    first, last = (0, GRID) if rng.random() < 0.4 or last - first < 4 else (first, last)
    width = 1 if rng.random() < 0.7 else 2
    strength = amplitude(rng, 4.0, 60.0)
    upright = rng.random() < 0.5
    part = image[first:last, where : where + width] if upright else image[where : where + width, first:last]
    part += strength * rng.uniform(0.6, 1.0, part.shape)
    steps = range(first, last, 2)
    marks.extend(Mark(*((where, step) if upright else (step, where)), "column", _REACH_PX) for step in steps)


def _line(rng: np.random.Generator) -> tuple[Plane, Plane, float, float, float]:
    """Distances along and across a random line; its angle and a point of it."""
    x, y = _place(rng)
    angle = float(rng.uniform(0, np.pi))
    rows, columns = np.mgrid[:GRID, :GRID]
    dx, dy = columns - x, rows - y
    along = dx * np.cos(angle) + dy * np.sin(angle)
    return along, dy * np.cos(angle) - dx * np.sin(angle), angle, x, y


def _trail(rng: np.random.Generator, image: Plane, psf: Psf, marks: list[Mark]) -> None:
    """A satellite or an aeroplane: a line as wide as the seeing, sometimes flickering."""
    along, across, angle, x, y = _line(rng)
    width = psf.fwhm / 2.355 * rng.uniform(0.9, 1.6)
    flicker = 1.0 + rng.uniform(0.0, 0.6) * np.sin(along / rng.uniform(2.0, 25.0) + rng.uniform(0, 6))
    image += amplitude(rng, 2.0, 50.0) * np.exp(-0.5 * (across / width) ** 2) * flicker
    steps = np.arange(-200.0, 200.0, 2.0)
    marks.extend(Mark(x + s * np.cos(angle), y + s * np.sin(angle), "trail", 3.0 + psf.fwhm) for s in steps)


def _glints(rng: np.random.Generator, image: Plane, psf: Psf, marks: list[Mark]) -> None:
    """A tumbling satellite or a blinking aeroplane: dots in a row, evenly spaced, sometimes with light between them."""
    _along, across, angle, x, y = _line(rng)
    spacing = rng.uniform(max(4.0, 2.0 * psf.fwhm), 31.0)
    flux = signal_flux(psf, amplitude(rng, 7.0, 60.0))
    if rng.random() < 0.6:
        peak = 0.9 * flux / psf.fwhm**2
        image += peak * amplitude(rng, 0.01, 0.2) * np.exp(-0.5 * (across * 2.355 / psf.fwhm) ** 2)
    tilted = replace(psf, fwhm=psf.fwhm * rng.uniform(1.0, 1.25), angle=angle, ratio=float(rng.uniform(0.65, 1.0)))
    for step in range(-30, 31):
        a, b = x + step * spacing * np.cos(angle), y + step * spacing * np.sin(angle)
        add(image, tilted, a, b, flux * float(rng.uniform(0.7, 1.0)))
        marks.append(Mark(float(a), float(b), "glints", 3.0 + psf.fwhm))


def _ghost(rng: np.random.Generator, image: Plane, psf: Psf, marks: list[Mark]) -> None:
    """Light out of focus: a disc, a ring or a soft blob, wider than any star."""
    x, y = _place(rng)
    rows, columns = np.mgrid[:GRID, :GRID]
    radius = np.hypot(columns - x, rows - y)
    size = float(rng.uniform(1.0, 4.0)) * psf.fwhm + 1.5
    if rng.random() < 0.5:
        shape = 1.0 / (1.0 + np.exp((radius - size) / 0.7))
        shape -= (rng.random() < 0.5) / (1.0 + np.exp((radius - size * rng.uniform(0.3, 0.7)) / 0.7))
    else:
        shape = np.exp(-0.5 * (radius / size) ** 2)
    image += amplitude(rng, 1.0, 15.0) * shape
    marks.append(Mark(x, y, "ghost", size + 4.0))


def emptied(rng: np.random.Generator, stars: list[Star]) -> NDArray[np.bool_]:
    """Pixels that carry no value: a slanting edge, boxes on bright stars, dead columns."""
    empty = np.zeros((GRID, GRID), dtype=bool)
    if rng.random() < 0.1:
        _along, across, _angle, _x, _y = _line(rng)
        empty |= across > rng.uniform(0.0, 40.0)
    if rng.random() < 0.15:
        for star in sorted(stars, key=lambda star: -star.science)[: int(rng.integers(1, 6))]:
            half = int(rng.integers(2, 9))
            top, left = max(0, int(star.y) - half), max(0, int(star.x) - half)
            empty[top : max(0, int(star.y) + half + 1), left : max(0, int(star.x) + half + 1)] = True
    if rng.random() < 0.05:
        empty[:, int(rng.integers(GRID))] = True
    return empty


def make_uneven(rng: np.random.Generator, science: Plane, reference: Plane, difference: Plane) -> None:
    """Gradients of sky that nobody took out."""
    rows, columns = np.mgrid[:GRID, :GRID] / GRID - 0.5
    for image, strength in ((science, 2.0), (reference, 1.0), (difference, 0.5)):
        if rng.random() < 0.3:
            a, b = rng.normal(0.0, strength, 2) * image.std() / (1.0 + image.std())
            image += a * rows + b * columns
