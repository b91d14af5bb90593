"""Other cameras, to test on and never to learn from: real frames and the simulated observatory, subtracted by us.

Of a session's frames some make the reference, the others are science. Frames are laid upon one another by their stars,
the sharper image is blurred to the other's width and brought to its flux, and the difference is searched both ways.
Real are point sources put into the science frame before all that, with the frame's own stars for a shape (real
frames), or drawn by the renderer (simulated observatory). Nothing else is: what the search finds besides is bogus.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage, spatial

from astrod.frames.image import read_image
from astrod.measure.plane import plane
from astrod.measure.sources import Sources, sky, sources
from astrod_drivers.sim.render import render, sky_to_pixel
from astrod_drivers.sim.scene import Optics, Pointing, Scene, Sensor, Transient
from astrod_models.stamps import SIDE
from training.realbogus_pairs import Drawn, peaks

REAL_CAMERAS = ("hatp32", "seestar")
PLANTED = 40
BOGUS_OF_A_PAIR = 30
FIELDS = ((83.8, 22.0), (305.0, 40.0), (150.0, 2.0), (279.9, -8.0), (192.9, 27.1), (10.7, 41.3))

_EDGE_PX = 40
_SIGNALS = (6.0, 80.0)
_TEMPLATE_PX = 10
_NEAR_PX = 2.5
_APART_PX = 12.0
Plane = NDArray[np.float32]
Places = list[tuple[float, float]]


@dataclass(frozen=True, slots=True, eq=False)
class Exposure:
    """A frame above its sky, with its stars, their width in pixels and the noise."""

    above: Plane
    stars: Sources
    fwhm: float
    noise: float


def exposure(values: Plane) -> Exposure:
    """A plane measured."""
    found = sky(np.ascontiguousarray(values, dtype=np.float32), None)
    listed = sources(found, None)
    good = listed.clean & ~listed.hot & (listed.signal > 12.0)
    width = float(np.median(2.355 * np.sqrt(listed.a * listed.b)[good])) if good.sum() >= 3 else 3.0
    return Exposure(found.above, listed, width, found.noise)


def real_camera(folder: Path, camera: str, seed: int) -> Iterator[tuple[int, Drawn]]:
    """Candidates of a camera's real frames: every other frame is science, the rest are the reference."""
    frames = [exposure(plane(read_image(path)).values) for path in sorted((folder / camera).glob("*.gz"))]
    old, new = frames[0::2], frames[1::2]
    for index, science in enumerate(new):
        rng = np.random.default_rng([seed, index])
        laid = [one for one in (laid_upon(frame, science) for frame in old) if one is not None]
        if len(laid) < 2:
            continue
        reference = np.median(np.stack(laid), axis=0).astype(np.float32)
        planted, places = _planted(rng, science)
        yield from ((index, one) for one in searched(rng, planted, reference, places))


def simulated_observatory(count: int, seed: int) -> Iterator[tuple[int, Drawn]]:
    """Candidates of the simulated observatory: other telescopes, seeing, pixels and fields from pair to pair."""
    for index in range(count):
        rng = np.random.default_rng([seed, index])
        scene, places = _scene(rng)
        science = exposure(render(scene).astype(np.float32))
        old = []
        for frame in range(int(rng.integers(2, 5))):
            nudged = replace(scene.pointings[0], ra_deg=scene.pointings[0].ra_deg + float(rng.normal(0, 4e-4)))
            seeing = scene.seeing_arcsec * float(np.exp(rng.normal(0.0, 0.15)))
            other = replace(scene, seed=scene.seed + 1 + frame, events=(), pointings=(nudged,), seeing_arcsec=seeing)
            old.append(exposure(render(other).astype(np.float32)))
        laid = [one for one in (laid_upon(frame, science) for frame in old) if one is not None]
        if laid:
            reference = np.mean(np.stack(laid), axis=0).astype(np.float32)
            yield from ((index, one) for one in searched(rng, science, reference, places))


def _scene(rng: np.random.Generator) -> tuple[Scene, Places]:
    """A scene with planted stars, and where they fall."""
    sensor = Sensor(
        width_px=700, height_px=600, pixel_um=float(rng.choice([2.4, 3.76, 5.4, 9.0])), seed=int(rng.integers(99))
    )
    focal = float(np.exp(rng.uniform(np.log(250.0), np.log(2000.0))))
    optics = Optics(focal, focal / float(rng.uniform(4.0, 8.0)), float(rng.choice([0.0, 0.35])))
    ra, dec = FIELDS[int(rng.integers(len(FIELDS)))]
    scene = Scene(
        seed=int(rng.integers(1, 10**6)),
        exposure_s=float(rng.choice([30.0, 120.0, 300.0])),
        pointings=(Pointing(0.0, ra, dec),),
        optics=optics,
        sensor=sensor,
        seeing_arcsec=float(rng.uniform(1.8, 4.5)),
        jitter_arcsec=float(rng.uniform(0.2, 1.0)),
    )
    half = np.array([sensor.width_px, sensor.height_px]) / 2.0 - _EDGE_PX
    events = []
    for _ in range(PLANTED):
        east, north = rng.uniform(-1, 1, 2) * half * scene.scale_arcsec / 3600.0
        place = ra + float(east) / np.cos(np.radians(dec)), dec + float(north)
        events.append(Transient(*place, mag=float(rng.uniform(13.0, 19.5))))
    scene = replace(scene, events=tuple(events))
    x, y = sky_to_pixel(
        scene, scene.pointings[0], np.array([e.ra_deg for e in events]), np.array([e.dec_deg for e in events])
    )
    return scene, list(zip(x.tolist(), y.tolist(), strict=True))


def laid_upon(frame: Exposure, onto: Exposure) -> Plane | None:
    """The frame's light at the other's pixels and on its flux scale, by the stars of both; None without a match."""
    shift = _shift(frame.above, onto.above)
    a = np.column_stack([frame.stars.x, frame.stars.y])[:150]
    b = np.column_stack([onto.stars.x, onto.stars.y])[:150]
    matrix, offset = np.eye(2), shift
    pairs = np.empty((0, 2), dtype=int)
    for reach in (6.0, 3.0, 1.5):
        distance, nearest = spatial.KDTree(b).query(a @ matrix.T + offset)
        pairs = np.column_stack([np.flatnonzero(distance < reach), nearest[distance < reach]])
        if len(pairs) < 6:
            return None
        design = np.column_stack([a[pairs[:, 0]], np.ones(len(pairs))])
        solution = np.linalg.lstsq(design, b[pairs[:, 1]], rcond=None)[0]
        matrix, offset = solution[:2].T, solution[2]
    inverse = np.linalg.inv(matrix)
    rows_first = inverse[::-1, ::-1]
    start = -inverse @ offset
    moved = ndimage.affine_transform(
        frame.above, rows_first, start[::-1], output_shape=onto.above.shape, order=3, cval=np.nan
    )
    scale = np.median(onto.stars.flux[pairs[:, 1]] / frame.stars.flux[pairs[:, 0]])
    return (moved * scale).astype(np.float32)


def _shift(frame: Plane, onto: Plane) -> NDArray[np.float64]:
    """(dx, dy) in whole pixels that takes the frame onto the other, by phase correlation of what is bright."""
    bright = [np.clip(image, 0.0, np.percentile(image, 99.9)) for image in (frame, onto)]
    a, b = (np.fft.rfft2(image - image.mean()) for image in bright)
    cross = b * np.conj(a)
    peak = np.fft.irfft2(cross / (np.abs(cross) + 1e-9), s=frame.shape)
    smooth = ndimage.gaussian_filter(peak, 1.5, mode="wrap")
    row, column = np.unravel_index(int(smooth.argmax()), smooth.shape)
    height, width = frame.shape
    return np.array(
        [(column + width // 2) % width - width // 2, (row + height // 2) % height - height // 2], dtype=float
    )


def _planted(rng: np.random.Generator, science: Exposure) -> tuple[Exposure, Places]:
    """The frame with copies of its own mean star at random places."""
    template = _mean_star(science)
    above = science.above.copy()
    height, width = above.shape
    root = np.sqrt((template**2).sum())
    places: Places = []
    for _ in range(PLANTED):
        x, y = rng.uniform(_EDGE_PX, width - _EDGE_PX), rng.uniform(_EDGE_PX, height - _EDGE_PX)
        if any(np.hypot(x - u, y - v) < 2.0 * _APART_PX for u, v in places):
            continue
        flux = science.noise * np.exp(rng.uniform(*np.log(_SIGNALS))) / root
        column, row = round(float(x)), round(float(y))
        stamp = ndimage.shift(template, (y - row, x - column), order=3) * flux
        reach = _TEMPLATE_PX
        above[row - reach : row + reach + 1, column - reach : column + reach + 1] += stamp.astype(np.float32)
        places.append((x, y))
    return replace(science, above=above), places


def _mean_star(frame: Exposure) -> NDArray[np.float64]:
    """The mean of the frame's clear stars, flux 1, (21, 21)."""
    height, width = frame.above.shape
    reach = _TEMPLATE_PX
    stamps = []
    picked = frame.stars.clean & ~frame.stars.hot & (frame.stars.signal > 20.0)
    for x, y in zip(frame.stars.x[picked], frame.stars.y[picked], strict=True):
        column, row = round(float(x)), round(float(y))
        if reach < column < width - reach - 1 and reach < row < height - reach - 1:
            stamp = frame.above[row - reach : row + reach + 1, column - reach : column + reach + 1]
            moved = ndimage.shift(stamp.astype(float), (row - y, column - x), order=3)
            stamps.append(moved / moved[reach - 4 : reach + 5, reach - 4 : reach + 5].sum())
    star = np.maximum(np.median(np.stack(stamps[:60]), axis=0), 0.0)
    rows, columns = np.mgrid[-reach : reach + 1, -reach : reach + 1]
    star *= np.hypot(rows, columns) < 3.0 * frame.fwhm + 1.0
    return np.asarray(star / star.sum())


def searched(rng: np.random.Generator, science: Exposure, old: Plane, places: Places) -> Iterator[Drawn]:
    """Planted and other candidates of a frame and a reference that lies on its grid and flux scale, NaN beyond it."""
    empty = ~np.isfinite(old)
    reference = exposure(np.where(empty, np.float32(0.0), old))
    blur = np.sqrt(abs(science.fwhm**2 - reference.fwhm**2)) / 2.355
    new, old = science.above, reference.above
    if science.fwhm > reference.fwhm:
        old = ndimage.gaussian_filter(old, blur)
    else:
        new = ndimage.gaussian_filter(new, blur)
    difference = np.where(empty, 0.0, new - old)
    planes = np.stack([science.above, reference.above, difference]).astype(np.float32)
    planes[:, empty] = np.nan
    near_edge = ndimage.binary_dilation(empty, iterations=6)
    fwhm = max(science.fwhm, reference.fwhm)
    for sign in (1.0, -1.0):
        inner = sign * difference[_EDGE_PX:-_EDGE_PX, _EDGE_PX:-_EDGE_PX]
        found = [(x + _EDGE_PX, y + _EDGE_PX, signal) for x, y, signal in peaks(inner, fwhm, 5.0)]
        found = [peak for peak in found if not near_edge[peak[1], peak[0]]]
        gaps = [min((float(np.hypot(x - u, y - v)) for u, v in places), default=np.inf) for x, y, _signal in found]
        if sign > 0.0:
            real = [peak for peak, gap in zip(found, gaps, strict=True) if gap < max(_NEAR_PX, 0.6 * fwhm)]
            yield from (Drawn(_cut(planes, x, y), True, "transient", signal) for x, y, signal in real)
        others = [peak for peak, gap in zip(found, gaps, strict=True) if gap > _APART_PX]
        for index in rng.permutation(len(others))[:BOGUS_OF_A_PAIR]:
            x, y, signal = others[index]
            triplet = _cut(planes, x, y)
            exchanged = triplet[..., [1, 0, 2]] * np.array([1.0, 1.0, -1.0], dtype=np.float32)
            kind = "residual" if sign > 0.0 else "reversed"
            yield Drawn(triplet if sign > 0.0 else exchanged, False, kind, signal)


def _cut(planes: NDArray[Any], x: int, y: int) -> NDArray[np.float32]:
    """The triplet around a place of the inner frame."""
    half = SIDE // 2
    return np.moveaxis(planes[:, y - half : y + half + 1, x - half : x + half + 1], 0, 2).astype(np.float32)
