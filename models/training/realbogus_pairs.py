"""Simulated pairs of images, subtracted the way people do it, and the candidates that a detection finds in them.

Nothing is labelled by its look. A field of stars and galaxies is exposed twice under different seeing; new light is
put into the science image at known places; whatever else the detection finds in the difference, or in the reversed
difference, is bogus by its making: residuals of misaligned or badly matched stars, saturation and its bleeding, cosmic
rays, hot pixels and columns, trails, chains of glints, ghosts, spikes and noise. Brightness is in units of the science
image's sky noise until a cut-out gets gain, sky and filling of a camera.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from astrod_models.stamps import SIDE
from training.realbogus_artefacts import add_artefacts, add_cosmic_rays, emptied, make_uneven
from training.realbogus_sky import (
    GRID,
    MARGIN,
    Family,
    Mark,
    Plane,
    Psf,
    add,
    add_galaxies,
    add_spikes,
    amplitude,
    exposed,
    noise_of,
    other_psf,
    psf_of,
    saturate,
    stars_of,
    with_transients,
)

KINDS = (
    "transient",
    "residual",
    "cosmic ray",
    "hot pixel",
    "column",
    "trail",
    "glints",
    "ghost",
    "spike",
    "noise",
    "reversed",
    "turned",
)
"""What a candidate is. `reversed`: found in reference less science; `turned`: a transient in a triplet turned round."""

_DETECT = 4.5


@dataclass(slots=True, eq=False)
class Field:
    """Both images and their difference, with all that is known of them."""

    science: Plane
    reference: Plane
    difference: Plane
    empty: NDArray[np.bool_]
    fwhm: float
    marks: list[Mark]


@dataclass(frozen=True, slots=True, eq=False)
class Drawn:
    """A labelled triplet, (63, 63, 3), as a camera would deliver it."""

    triplet: NDArray[np.float32]
    real: bool
    kind: str
    signal: float


def draw(rng: np.random.Generator, family: Family) -> Iterator[Drawn]:
    """All candidates of one simulated pair."""
    field = pair(rng, family)
    yield from candidates(rng, field)


def pair(rng: np.random.Generator, family: Family) -> Field:
    """One field, exposed twice and subtracted."""
    science_psf = psf_of(rng, family)
    reference_psf = other_psf(rng, science_psf)
    reference_noise = float(np.exp(rng.uniform(np.log(0.15), np.log(1.2))))
    marks: list[Mark] = []
    stars = stars_of(rng, science_psf)
    stars, new = with_transients(rng, stars, science_psf, marks)
    science, reference = exposed(stars, science_psf, reference_psf)
    add_galaxies(rng, science, reference, science_psf, reference_psf, marks)
    science += new
    add_spikes(rng, stars, science, reference, marks)
    saturate(rng, science, reference)
    poisson = float(np.exp(rng.uniform(np.log(0.003), np.log(0.5))))
    science += noise_of(rng, family, science, 1.0, poisson)
    reference += noise_of(rng, family, reference, reference_noise, poisson * reference_noise**2)
    add_artefacts(rng, science, science_psf, marks)
    if rng.random() < 0.3:
        add_cosmic_rays(rng, reference, [], 2)
    difference = _difference(rng, science, reference, science_psf, reference_psf, reference_noise)
    make_uneven(rng, science, reference, difference)
    return Field(science, reference, difference, emptied(rng, stars), science_psf.fwhm, marks)


def _difference(
    rng: np.random.Generator, science: Plane, reference: Plane, a: Psf, b: Psf, reference_noise: float
) -> Plane:
    """Plain, matched by convolving either, or proper (Zackay, Ofek & Gal-Yam 2016), by kernels not quite known."""
    way = rng.random()
    if way < 0.15:
        plain: Plane = science - reference
        return plain
    error = float(np.exp(rng.uniform(np.log(0.003), np.log(0.08))))
    transfer_a = _transfer(replace(a, fwhm=a.fwhm * (1.0 + rng.normal(0, error))))
    transfer_b = _transfer(replace(b, fwhm=b.fwhm * (1.0 + rng.normal(0, error))))
    s, r = np.fft.rfft2(science), np.fft.rfft2(reference)
    if way < 0.45:
        power = np.abs(transfer_b) ** 2 + np.abs(transfer_a * reference_noise) ** 2 + 1e-6
        d = (transfer_b * s - transfer_a * r) / np.sqrt(power)
    else:
        softening = amplitude(rng, 1e-4, 3e-2)
        if a.fwhm >= b.fwhm or rng.random() < 0.4:
            d = s - r * transfer_a * np.conj(transfer_b) / (np.abs(transfer_b) ** 2 + softening)
        else:
            d = s * transfer_b * np.conj(transfer_a) / (np.abs(transfer_a) ** 2 + softening) - r
    difference: Plane = np.fft.irfft2(d, s=(GRID, GRID))
    return difference


def _transfer(psf: Psf) -> NDArray[np.complex128]:
    """The Fourier transform of a star at the origin."""
    image = np.zeros((GRID, GRID))
    add(image, psf, GRID // 2, GRID // 2, 1.0)
    image /= image.sum()
    return np.fft.rfft2(np.fft.ifftshift(image))


def peaks(difference: Plane, fwhm: float, least: float = _DETECT) -> list[tuple[int, int, float]]:
    """Where a matched filter finds light in a difference: (x, y, signal-to-noise), strongest first."""
    smooth = ndimage.gaussian_filter(difference, fwhm / 2.355)
    middle = float(np.median(smooth))
    noise = 1.4826 * float(np.median(np.abs(smooth - middle))) + 1e-30
    signal = (smooth - middle) / noise
    highest = ndimage.maximum_filter(signal, size=max(5, 2 * int(fwhm) + 1))
    rows, columns = np.nonzero((signal == highest) & (signal > least))
    found = [(int(x), int(y), float(signal[y, x])) for y, x in zip(rows, columns, strict=True)]
    return sorted(found, key=lambda peak: -peak[2])


def candidates(rng: np.random.Generator, field: Field) -> Iterator[Drawn]:
    """The transients that the detection finds, and a choice of what else it finds, both ways round."""
    real, bogus = [], []
    for x, y, signal in _inside(peaks(field.difference, field.fwhm)):
        mark = _nearest(field.marks, x, y)
        if mark is None or mark.kind != "transient":
            bogus.append((x, y, signal, _kind(field, mark, x, y)))
        elif np.hypot(mark.x - x, mark.y - y) < max(1.5, 0.6 * field.fwhm):
            real.append((x, y, signal))
    planes = np.stack([field.science, field.reference, field.difference])
    for x, y, signal in real:
        yield Drawn(_cut(rng, planes, field.empty, x, y), True, "transient", signal)
        if rng.random() < 0.35:
            yield Drawn(_cut(rng, turned(rng, planes), field.empty, x, y), False, "turned", signal)
    for kind in dict.fromkeys(kind for *_place, kind in bogus):
        listed = [(x, y, signal) for x, y, signal, of in bogus if of == kind]
        for index in rng.permutation(len(listed))[: 2 if kind != "residual" else 3]:
            x, y, signal = listed[index]
            yield Drawn(_cut(rng, planes, field.empty, x, y), False, kind, signal)
    reverse = np.stack([field.science, field.reference, -field.difference])
    exchanged = np.stack([field.reference, field.science, -field.difference])
    found = _inside(peaks(-field.difference, field.fwhm))
    for index in rng.permutation(len(found))[:2]:
        x, y, signal = found[index]
        yield Drawn(_cut(rng, (reverse, exchanged)[index % 2], field.empty, x, y), False, "reversed", signal)


def turned(rng: np.random.Generator, planes: NDArray[Any]) -> NDArray[Any]:
    """A triplet that contradicts itself or shows a fading: the difference negated, images exchanged, or both."""
    science, reference, difference = planes
    way = int(rng.integers(3))
    if way == 0:
        return np.stack([science, reference, -difference])
    if way == 1:
        return np.stack([reference, science, -difference])
    return np.stack([reference, science, difference])


def _inside(found: list[tuple[int, int, float]]) -> list[tuple[int, int, float]]:
    last = GRID - MARGIN
    return [peak for peak in found if MARGIN <= peak[0] < last and MARGIN <= peak[1] < last]


def _nearest(marks: list[Mark], x: int, y: int) -> Mark | None:
    """The mark that explains a peak; a transient before all else, so that its surroundings are left alone."""
    hits = [mark for mark in marks if np.hypot(mark.x - x, mark.y - y) < mark.reach]
    transients = [mark for mark in hits if mark.kind == "transient"]
    if transients:
        return min(transients, key=lambda mark: np.hypot(mark.x - x, mark.y - y))
    return min(hits, key=lambda mark: np.hypot(mark.x - x, mark.y - y), default=None)


def _kind(field: Field, mark: Mark | None, x: int, y: int) -> str:
    if mark is not None:
        return mark.kind
    box = field.reference[max(0, y - 4) : y + 5, max(0, x - 4) : x + 5]
    spread = np.median(np.abs(field.reference - np.median(field.reference))) * 1.4826
    return "residual" if box.max() > np.median(field.reference) + 6.0 * spread else "noise"


def _cut(
    rng: np.random.Generator, planes: NDArray[Any], empty: NDArray[np.bool_], x: int, y: int
) -> NDArray[np.float32]:
    """The triplet around a place, as a camera and a pipeline would hand it over."""
    x, y = (
        x + int(rng.integers(-1, 2)) * int(rng.random() < 0.3),
        y + int(rng.integers(-1, 2)) * int(rng.random() < 0.3),
    )
    half, edge = SIDE // 2, 4
    triplet = np.full((SIDE, SIDE, 3), np.nan)
    top, left = max(edge, y - half), max(edge, x - half)
    bottom, right = min(GRID - edge, y + half + 1), min(GRID - edge, x + half + 1)
    window = np.moveaxis(planes[:, top:bottom, left:right].copy(), 0, 2)
    lost = empty[top:bottom, left:right]
    if not lost[max(0, y - top - 3) : y - top + 4, max(0, x - left - 3) : x - left + 4].any():
        window[lost] = np.nan
    triplet[top - (y - half) : bottom - (y - half), left - (x - half) : right - (x - half)] = window
    return delivered(rng, triplet)


def delivered(rng: np.random.Generator, triplet: NDArray[Any]) -> NDArray[np.float32]:
    """Gain, sky, rounding and filling of some camera; now and then there is no reference."""
    gain = amplitude(rng, 0.3, 300.0)
    scale = gain * np.array([1.0, 1.0, 1.0 if rng.random() < 0.6 else amplitude(rng, 0.01, 10.0)])
    if rng.random() < 0.15:
        scale[1] *= amplitude(rng, 0.2, 5.0)
    sky = np.array([*(gain * rng.uniform(0.0, 300.0, 2)), 0.0])
    out = triplet * scale + sky
    if rng.random() < 0.015:
        out[..., 1] = np.nan
    if rng.random() < 0.2:
        out[..., :2] = np.round(out[..., :2])
    way = rng.random()
    if way > 0.4:
        filling = np.array([sky[0] - 500.0 * gain, sky[1] - 500.0 * gain, 0.0]) if way < 0.7 else np.zeros(3)
        out = np.where(np.isnan(out), filling, out)
    return out.astype(np.float32)
