"""Alerts of the Zwicky Transient Facility as examples: read, split by night, varied, and mined for certain bogus.

ZTF shows the light of every candidate as positive in its difference cut-out; `isdiffpos = f` says that it was found in
reference less science. Such an alert shows no brightening and is an example of what is not real, whatever its label;
with science and reference exchanged it is the brightening that it would be the other way round.
"""

import csv
from collections.abc import Iterator
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from astrod_models.stamps import SIDE, stamps_of
from training.realbogus_pairs import Drawn, delivered, peaks, turned

BIG_NIGHTS = (2458451, 2460235)
"""Whole Julian days of the two nights that have asteroids; all other nights make the third fold."""

APART_DEG = 0.05
"""Alerts nearer than this to one of the test's, or of the same object, are not learned from."""

ASTEROID_WITHIN_ARCSEC = 5.0
_FWHM_PX = 2.2
_CLEAR_PX = 9.0


@dataclass(frozen=True, slots=True, eq=False)
class Alerts:
    """The alerts, one entry of each array for each. `label` is "real", "bogus" or "" by ZTF's own classifiers."""

    triplets: NDArray[np.float32]
    label: NDArray[np.str_]
    asteroid: NDArray[np.bool_]
    positive: NDArray[np.bool_]
    magnitude: NDArray[np.float64]
    signal: NDArray[np.float64]
    fold: NDArray[np.int64]
    ra_deg: NDArray[np.float64]
    dec_deg: NDArray[np.float64]
    name: NDArray[np.str_]

    def __len__(self) -> int:
        return len(self.label)

    def part(self, where: slice) -> "Alerts":
        """Some of the alerts."""
        return Alerts(**{item.name: getattr(self, item.name)[where] for item in fields(self)})

    @property
    def brightening(self) -> NDArray[np.bool_]:
        """Likely real, and brighter in science."""
        return (self.label == "real") & self.positive

    @property
    def fading(self) -> NDArray[np.bool_]:
        """Likely real, and brighter in the reference."""
        return (self.label == "real") & ~self.positive

    @property
    def bogus(self) -> NDArray[np.bool_]:
        """Likely bogus, whichever sign."""
        found: NDArray[np.bool_] = self.label == "bogus"
        return found


def read_alerts(folder: Path) -> Alerts | None:
    """The alerts of `ztf_dev_triplets.npz` and `ztf_dev_meta.csv`; None where they are not there."""
    pixels, facts = folder / "ztf_dev_triplets.npz", folder / "ztf_dev_meta.csv"
    if not (pixels.exists() and facts.exists()):
        return None
    with facts.open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    with np.load(pixels) as arrays:
        triplets = arrays["triplets"].astype(np.float32)
    near = np.array([float(row["ssdistnr"] or "nan") for row in rows])
    night = np.array([int(float(row["jd"])) for row in rows])
    return Alerts(
        triplets=triplets,
        label=np.array([row["label"].removeprefix("likely_") for row in rows]),
        asteroid=(near >= 0.0) & (near <= ASTEROID_WITHIN_ARCSEC),
        positive=np.array([row["isdiffpos"] in ("t", "1") for row in rows]),
        magnitude=np.array([float(row["magpsf"]) for row in rows]),
        signal=np.array([float(row["scorr"] or "nan") for row in rows]),
        fold=np.select([night == day for day in BIG_NIGHTS], range(len(BIG_NIGHTS)), len(BIG_NIGHTS)),
        ra_deg=np.array([float(row["ra"]) for row in rows]),
        dec_deg=np.array([float(row["dec"]) for row in rows]),
        name=np.array([row["objectId"] for row in rows]),
    )


def learnable(alerts: Alerts, test: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Where alerts are that share neither night, object nor place with those of the test."""
    cosine = np.cos(np.radians(alerts.dec_deg))
    east = (alerts.ra_deg[:, None] - alerts.ra_deg[None, test] + 180.0) % 360.0 - 180.0
    north = alerts.dec_deg[:, None] - alerts.dec_deg[None, test]
    close = (np.hypot(east * cosine[:, None], north) < APART_DEG).any(axis=1)
    found: NDArray[np.bool_] = ~test & ~close & ~np.isin(alerts.name, np.unique(alerts.name[test]))
    return found


def as_they_are(alerts: Alerts) -> Iterator[tuple[int, Drawn]]:
    """Every alert once, unvaried; real where a brightening is likely."""
    for index in range(len(alerts)):
        yield index, _drawn(alerts, index, alerts.triplets[index], bool(alerts.brightening[index]), "alert")


def turned_asteroids(alerts: Alerts) -> Iterator[tuple[int, Drawn]]:
    """Every asteroid's triplet reversed in each of the three ways: no brightening, by its making."""
    for index in np.flatnonzero(alerts.asteroid):
        science, reference, difference = np.moveaxis(alerts.triplets[index], 2, 0)
        for way in (
            (science, reference, -difference),
            (reference, science, -difference),
            (reference, science, difference),
        ):
            yield int(index), _drawn(alerts, int(index), np.stack(way, axis=2), False, "turned")


def examples(alerts: Alerts, seed: int, times: int = 2, bogus_times: int = 12) -> Iterator[tuple[int, Drawn]]:
    """Varied alerts to learn from: each brightening `times`, each bogus `bogus_times`, and what can be made of them."""
    for index in range(len(alerts)):
        rng = np.random.default_rng([seed, index])
        triplet = emptied(alerts.triplets[index])
        if alerts.brightening[index]:
            for _ in range(times + int(alerts.asteroid[index])):
                yield index, _drawn(alerts, index, varied(rng, triplet), True, "alert")
            yield index, _drawn(alerts, index, varied(rng, _turned(rng, triplet)), False, "turned")
        elif alerts.fading[index]:
            yield index, _drawn(alerts, index, varied(rng, triplet), False, "turned")
            for _ in range(2):
                yield index, _drawn(alerts, index, varied(rng, triplet[..., [1, 0, 2]]), True, "alert")
        elif alerts.bogus[index]:
            for turn in range(bogus_times):
                exchanged = turn % 3 == 2
                shown = triplet[..., [1, 0, 2]] if exchanged else triplet
                yield index, _drawn(alerts, index, varied(rng, shown), False, "alert bogus")
        yield from ((index, one) for one in _mined(rng, alerts, index, triplet))


def _drawn(alerts: Alerts, index: int, triplet: NDArray[Any], real: bool, kind: str) -> Drawn:
    return Drawn(np.asarray(triplet, dtype=np.float32), real, kind, float(alerts.signal[index]))


def _turned(rng: np.random.Generator, triplet: NDArray[Any]) -> NDArray[Any]:
    return np.moveaxis(turned(rng, np.moveaxis(triplet, 2, 0)), 0, 2)


def emptied(triplet: NDArray[np.float32]) -> NDArray[np.float32]:
    """The triplet with NaN where ZTF filled in a value."""
    valid = np.moveaxis(stamps_of(triplet[None]).valid[0], 0, 2)
    return np.where(valid, triplet, np.float32(np.nan))


def varied(rng: np.random.Generator, triplet: NDArray[np.float32]) -> NDArray[np.float32]:
    """As another camera might have seen it: other pixel scale, more noise, edges, gain, filling."""
    if rng.random() < 0.6:
        triplet = zoomed(triplet, float(np.exp(rng.uniform(np.log(0.55), np.log(1.8)))))
    if rng.random() < 0.3:
        triplet = _noisier(rng, triplet)
    if rng.random() < 0.3:
        triplet = _edged(rng, triplet)
    return delivered(rng, triplet)


def zoomed(triplet: NDArray[np.float32], factor: float) -> NDArray[np.float32]:
    """The same sky on `factor` times as many pixels along each side, about the middle one; NaN beyond the edges."""
    half = SIDE // 2
    place = (np.arange(SIDE) - half) / factor + half
    rows, columns = np.meshgrid(place, place, indexing="ij")
    out = np.empty_like(triplet)
    for index in range(3):
        plane = triplet[..., index]
        empty = ~np.isfinite(plane)
        values = np.where(empty, np.float32(np.nanmedian(plane) if not empty.all() else 0.0), plane)
        if factor < 1.0:
            values = ndimage.gaussian_filter(values, 0.42 * (1.0 / factor - 1.0))
        mapped = ndimage.map_coordinates(values, [rows, columns], order=1, mode="nearest")
        beyond = (rows < 0) | (rows > SIDE - 1) | (columns < 0) | (columns > SIDE - 1)
        lost = ndimage.map_coordinates(empty.astype(np.float32), [rows, columns], order=1, mode="nearest") > 0.3
        out[..., index] = np.where(beyond | lost, np.nan, mapped)
    return out


def _noisier(rng: np.random.Generator, triplet: NDArray[np.float32]) -> NDArray[np.float32]:
    """The same noise added to science and difference, half as strong as what the difference has."""
    spread = np.nanmedian(np.abs(triplet[..., 2] - np.nanmedian(triplet[..., 2]))) * 1.4826
    noise = rng.normal(0.0, rng.uniform(0.2, 0.7) * spread, triplet.shape[:2])
    noise = ndimage.gaussian_filter(noise, rng.uniform(0.0, 0.6))
    return (triplet + noise[..., None] * np.array([1.0, 0.0, 1.0])).astype(np.float32)


def _edged(rng: np.random.Generator, triplet: NDArray[np.float32]) -> NDArray[np.float32]:
    """As if the detector ended there."""
    edge = int(rng.integers(SIDE // 2 + 5, SIDE))
    out = triplet.copy()
    out[edge:] = np.nan
    return np.rot90(out, int(rng.integers(4)))


def _mined(rng: np.random.Generator, alerts: Alerts, index: int, triplet: NDArray[np.float32]) -> Iterator[Drawn]:
    """What a detection finds away from the candidate, in the difference or in its negative: residuals of stars."""
    difference = np.nan_to_num(triplet[..., 2])
    for sign in (1, -1):
        found = [
            peak
            for peak in peaks(sign * difference, _FWHM_PX, 5.0)
            if np.hypot(peak[0] - SIDE // 2, peak[1] - SIDE // 2) > _CLEAR_PX
            and 4 <= min(peak[:2]) <= max(peak[:2]) < SIDE - 4
        ]
        if found:
            x, y, signal = found[int(rng.integers(len(found)))]
            planes = triplet.copy()
            planes[..., 2] *= sign
            if sign < 0:
                planes = planes[..., [1, 0, 2]] if rng.random() < 0.5 else planes
            yield Drawn(varied(rng, _recentred(planes, x, y)), False, "reversed" if sign < 0 else "residual", signal)


def _recentred(triplet: NDArray[np.float32], x: int, y: int) -> NDArray[np.float32]:
    out = np.full_like(triplet, np.nan)
    dx, dy = x - SIDE // 2, y - SIDE // 2
    rows = slice(max(0, -dy), SIDE - max(0, dy))
    columns = slice(max(0, -dx), SIDE - max(0, dx))
    source_rows = slice(max(0, dy), SIDE - max(0, -dy))
    source_columns = slice(max(0, dx), SIDE - max(0, -dx))
    out[rows, columns] = triplet[source_rows, source_columns]
    return out
