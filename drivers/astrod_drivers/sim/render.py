"""A scene's pixels. `render` is a pure function: equal scenes give equal frames, anywhere.

The order is nature's: stars, galaxies and sky through the clouds, then the optics, then the sensor. Stars
are drawn as stamps of one PSF; a path that is too long for one stamp is cut into pieces. Rows run from the
top; with a rotation of 0 north is up and east is left.
"""

import math
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from astrod_drivers.sim import catalogue, clouds, detector, ephemeris, psf
from astrod_drivers.sim.canvas import Canvas, Ellipse, Lights
from astrod_drivers.sim.scene import Pointing, Scene, Streak, Transient

_PIECE_PX = 48.0  # a path is cut where its extent passes this
_PIECES = 24
_PHOTONS_CM2_S_ANGSTROM = 1000.0  # of a star of magnitude 0 above the air, in V (Bessell 1979, PASP 91, 589)
_VISIBLE_SIGMA = 0.12  # stars that stay below this in every pixel are not drawn

Float32 = NDArray[np.float32]
Float64 = NDArray[np.float64]

# The response of a Bayer sensor's pixels to clear light, and their colour terms (as `Filter.colour_term`).
_BAYER = {"R": (0.30, 0.6), "G": (0.42, 0.05), "B": (0.28, -0.9)}
_SKY_COLOUR = 0.7  # the sky's B-V


@dataclass(frozen=True, slots=True, eq=False)
class Piece:
    """A stretch of the pointing path, short enough for one PSF: its centre, the path of the image about it
    in pixels with weights, and the share of the exposure it lasts.
    """

    centre: Pointing
    path_px: Float64
    weight: Float64
    share: float


@dataclass(frozen=True, slots=True, eq=False)
class Field:
    """What all pieces of a scene share. `transmission` is the clouds' alone, a coarse map over the frame."""

    scene: Scene
    zero_e: float  # electrons of a V 0 star during the whole exposure, through air and glass, under a clear sky
    sky_e: float  # electrons of the clear sky per pixel
    transmission: Float64
    noise_e: float


def render(scene: Scene) -> NDArray[np.uint16]:
    """The frame as the camera hands it out: 2-D, 16 bit, rows from the top."""
    sensor = scene.sensor
    random = detector.generator(scene.seed, 1)
    charge = np.zeros((sensor.height_px, sensor.width_px), np.float32)
    if scene.light and scene.roof_open > 0.0 and scene.exposure_s > 0.0:
        field = _field(scene)
        charge = _light(field)
        charge += _sky(field)
        charge *= detector.flat_field(sensor, scene.optics)
        np.minimum(charge, np.float32(400.0 * sensor.full_well_e), out=charge)
    if scene.light and scene.panel_e_s > 0.0:
        charge += detector.flat_field(sensor, scene.optics) * np.float32(scene.panel_e_s * scene.exposure_s)
    detector.add_dark(charge, sensor, scene.temperature_c, scene.exposure_s)
    detector.add_noise(charge, sensor, random)
    detector.add_cosmic_rays(charge, sensor, scene.exposure_s, random)
    detector.bleed(charge, sensor)
    return detector.digitise(charge, sensor, scene.binning)


def save(scene: Scene, path: Path) -> None:
    """Render a scene into a `.npy` file, which appears whole or not at all."""
    part = path.with_name(path.name + ".part")
    with part.open("wb") as file:
        np.save(file, render(scene))
    part.replace(path)


def zero_electrons(scene: Scene) -> float:
    """Electrons that a star of magnitude 0 leaves in the whole exposure, air included, under a clear sky."""
    optics = scene.optics
    area_cm2 = math.pi / 4.0 * (optics.aperture_mm / 10.0) ** 2 * (1.0 - optics.obstruction**2)
    light = _PHOTONS_CM2_S_ANGSTROM * scene.filter.width_angstrom * area_cm2 * optics.throughput
    air = 10.0 ** (-0.4 * scene.filter.extinction * ephemeris.airmass(scene.altitude_deg))
    return float(light * air * scene.exposure_s * scene.roof_open)


def _field(scene: Scene) -> Field:
    area_cm2 = math.pi / 4.0 * (scene.optics.aperture_mm / 10.0) ** 2 * (1.0 - scene.optics.obstruction**2)
    light = _PHOTONS_CM2_S_ANGSTROM * scene.filter.width_angstrom * area_cm2 * scene.optics.throughput
    sky_mag = scene.sky_mag_arcsec2 - 2.5 * math.log10(scene.scale_arcsec**2)
    sky_e = light * 10.0 ** (-0.4 * sky_mag) * scene.exposure_s * scene.roof_open
    fov_deg = (
        scene.sensor.width_px * scene.scale_arcsec / 3600.0,
        scene.sensor.height_px * scene.scale_arcsec / 3600.0,
    )
    passes = clouds.transmission(scene.cloud, scene.altitude_deg, scene.azimuth_deg, fov_deg, scene.exposure_s)
    dark_e = scene.sensor.dark_e_s * detector.warmth(scene.temperature_c) * scene.exposure_s
    noise_e = math.sqrt(sky_e + dark_e + scene.sensor.read_noise_e**2)
    return Field(scene, zero_electrons(scene), sky_e, passes, noise_e)


# -- the sky's own light -------------------------------------------------------------------------------------


def _sky(field: Field) -> Float32:
    """Electrons of the sky: clouds take from what is above them and glow with what is below."""
    scene = field.scene
    glow = field.sky_e * (1.0 + scene.town_light * (1.0 - field.transmission))
    sky = _enlarged(glow, (scene.sensor.height_px, scene.sensor.width_px))
    if scene.sensor.bayer is not None:
        for place, (share, term) in enumerate(_channels(scene.sensor.bayer)):
            sky[place // 2 :: 2, place % 2 :: 2] *= np.float32(share * 10.0 ** (0.4 * term * (_SKY_COLOUR - 0.7)))
    return sky


def _enlarged(coarse: Float64, shape: tuple[int, int]) -> Float32:
    """A coarse map, bilinear between its points, on every pixel."""
    if np.ptp(coarse) == 0.0:
        return np.full(shape, coarse[0, 0], np.float32)
    rows = _between(coarse.astype(np.float32), shape[0])
    return np.ascontiguousarray(_between(np.ascontiguousarray(rows.T), shape[1]).T)


def _between(coarse: Float32, count: int) -> Float32:
    """Interpolate along the first axis to `count` points."""
    place = np.linspace(0.0, len(coarse) - 1.0, count)
    low = np.minimum(place.astype(np.int64), len(coarse) - 2)
    share = (place - low).astype(np.float32)[:, None]
    step = np.diff(coarse, axis=0)
    return np.asarray(coarse[low] + step[low] * share)


def _channels(bayer: str) -> list[tuple[float, float]]:
    return [_BAYER[letter] for letter in bayer]


# -- stars ---------------------------------------------------------------------------------------------------


def _light(field: Field) -> Float32:
    """Electrons of everything that is not sky, before vignetting."""
    scene = field.scene
    pieces = _pieces(scene)
    banks = [_bank(scene, piece) for piece in pieces]
    twinkle = detector.generator(scene.seed, 2)
    canvas = Canvas.blank(
        scene.sensor.height_px, scene.sensor.width_px, max(bank.radius_px for bank in banks), field.noise_e
    )
    for piece, bank in zip(pieces, banks, strict=True):
        _draw_piece(field, piece, bank, canvas, twinkle)
    for event in scene.events:
        if isinstance(event, Streak):
            _draw_streak(field, event, banks[0], canvas)
    return canvas.frame()


def _bank(scene: Scene, piece: Piece) -> psf.Bank:
    optics_arcsec = 206.265 * 550e-6 / (scene.optics.aperture_mm / 1000.0) / 1000.0  # the diffraction limit
    fwhm_arcsec = math.sqrt(scene.seeing_arcsec**2 + (2.355 * scene.jitter_arcsec) ** 2 + optics_arcsec**2)
    blur_px = abs(scene.defocus_um) / scene.optics.focal_ratio / scene.sensor.pixel_um
    return psf.build(
        max(0.7, fwhm_arcsec / scene.scale_arcsec),
        min(blur_px, 1.6 * psf.MAX_RADIUS_PX),
        scene.optics.obstruction,
        piece.path_px,
        piece.weight,
    )


def _pieces(scene: Scene) -> list[Piece]:
    """The path of the pointing, cut where it gets too long for one PSF; at most `_PIECES`, the
    longest-lasting.
    """
    start = scene.pointings[0]
    if len(scene.pointings) == 1:
        return [Piece(start, np.zeros((1, 2)), np.ones(1), 1.0)]
    knots = [_offset_px(scene, start, pointing) for pointing in scene.pointings]
    pieces: list[Piece] = []
    points: list[tuple[float, float, float, Pointing]] = []
    for (a, pa), (b, pb) in zip(
        zip(knots, scene.pointings, strict=True),
        list(zip(knots, scene.pointings, strict=True))[1:],
        strict=False,
    ):
        turn_px = abs((pb.rotation_deg - pa.rotation_deg + 180.0) % 360.0 - 180.0) * scene.sensor.width_px / 115.0
        count = int(min(4000, max(1, math.ceil(max(math.dist(a, b), turn_px) / 0.7))))
        for k in range(count):
            share = (k + 0.5) / count
            x, y = a[0] + (b[0] - a[0]) * share, a[1] + (b[1] - a[1]) * share
            if points and _too_far(scene, points[0], x, y, pa, pb, share):
                pieces.append(_piece(points))
                points = []
            points.append((x, y, (pb.at - pa.at) / count, _mix(pa, pb, share)))
    pieces.append(_piece(points))
    return sorted(pieces, key=lambda piece: -piece.share)[:_PIECES]


def _too_far(
    scene: Scene,
    first: tuple[float, float, float, Pointing],
    x: float,
    y: float,
    a: Pointing,
    b: Pointing,
    share: float,
) -> bool:
    rotation_deg = _mix(a, b, share).rotation_deg - first[3].rotation_deg
    turned_px = abs((rotation_deg + 180.0) % 360.0 - 180.0) * scene.sensor.width_px / 115.0
    return math.hypot(x - first[0], y - first[1]) > _PIECE_PX or turned_px > 1.5


def _mix(a: Pointing, b: Pointing, share: float) -> Pointing:
    """Between two pointings, the short way round."""
    ra = a.ra_deg + ((b.ra_deg - a.ra_deg + 180.0) % 360.0 - 180.0) * share
    turn = a.rotation_deg + ((b.rotation_deg - a.rotation_deg + 180.0) % 360.0 - 180.0) * share
    return Pointing(a.at + (b.at - a.at) * share, ra % 360.0, a.dec_deg + (b.dec_deg - a.dec_deg) * share, turn % 360.0)


def _piece(points: list[tuple[float, float, float, Pointing]]) -> Piece:
    path = np.array([(x, y) for x, y, _, _ in points])
    weight = np.maximum(np.array([w for _, _, w, _ in points]), 1e-12)
    middle = points[len(points) // 2]
    return Piece(middle[3], path - np.array([middle[0], middle[1]]), weight, float(weight.sum()))


def _offset_px(scene: Scene, start: Pointing, pointing: Pointing) -> tuple[float, float]:
    """How far the image has moved on the sensor when the axis has gone from `start` to `pointing`."""
    dra = (pointing.ra_deg - start.ra_deg + 180.0) % 360.0 - 180.0
    xi_px = dra * math.cos(math.radians(start.dec_deg)) * 3600.0 / scene.scale_arcsec
    eta_px = (pointing.dec_deg - start.dec_deg) * 3600.0 / scene.scale_arcsec
    turn = math.radians(start.rotation_deg)
    return xi_px * math.cos(turn) - eta_px * math.sin(turn), xi_px * math.sin(turn) + eta_px * math.cos(turn)


def sky_to_pixel(scene: Scene, centre: Pointing, ra_deg: Float64, dec_deg: Float64) -> tuple[Float64, Float64]:
    """Where ICRS positions fall on the sensor (gnomonic projection): columns and rows, 0 at the centre of
    the first pixel, unbinned. Only for positions within 80 degrees of the centre.
    """
    ra, dec = np.radians(ra_deg - centre.ra_deg), np.radians(dec_deg)
    sin0, cos0 = math.sin(math.radians(centre.dec_deg)), math.cos(math.radians(centre.dec_deg))
    along = sin0 * np.sin(dec) + cos0 * np.cos(dec) * np.cos(ra)
    xi = np.cos(dec) * np.sin(ra) / along
    eta = (cos0 * np.sin(dec) - sin0 * np.cos(dec) * np.cos(ra)) / along
    per_radian = 206264.806 / scene.scale_arcsec
    turn = math.radians(centre.rotation_deg)
    x = (-xi * math.cos(turn) + eta * math.sin(turn)) * per_radian
    y = (-eta * math.cos(turn) - xi * math.sin(turn)) * per_radian
    return x + (scene.sensor.width_px - 1) / 2.0, y + (scene.sensor.height_px - 1) / 2.0


def _cone_deg(scene: Scene, margin_px: float) -> float:
    half_px = math.hypot(scene.sensor.width_px, scene.sensor.height_px) / 2.0 + margin_px
    return math.degrees(math.atan(half_px * scene.scale_arcsec / 206264.806))


def _draw_piece(field: Field, piece: Piece, bank: psf.Bank, canvas: Canvas, twinkle: np.random.Generator) -> None:
    scene, zero_e = field.scene, field.zero_e * piece.share
    least_e = _VISIBLE_SIGMA * field.noise_e / bank.peak
    faintest = min(catalogue.FAINTEST_MAG, 2.5 * math.log10(max(1e-9, zero_e / least_e)) + 0.5)
    cone_deg = _cone_deg(scene, bank.radius_px)
    stars = catalogue.stars_in_cone(piece.centre.ra_deg, piece.centre.dec_deg, cone_deg, faintest)
    stars = _with_transients(scene, stars, piece)
    x, y = sky_to_pixel(scene, piece.centre, stars.ra_deg, stars.dec_deg)
    flux = zero_e * 10.0 ** (-0.4 * stars.mag) * (1.0 + _scintillation(scene) * twinkle.standard_normal(len(stars)))
    flux *= _passes_at(field, x, y)
    lights = Lights(x, y, flux, _colours(scene, stars.colour))
    canvas.add_stars(bank, lights, least_e)
    canvas.add_wings(bank, lights)
    _draw_galaxies(field, piece, bank, canvas, faintest)


def _with_transients(scene: Scene, stars: catalogue.Stars, piece: Piece) -> catalogue.Stars:
    """The catalogue's stars and the planted ones, these where they are in the middle of the exposure."""
    planted = [event for event in scene.events if isinstance(event, Transient)]
    if not planted:
        return stars
    hours = scene.exposure_s / 7200.0
    dec = np.array([e.dec_deg + e.dec_rate_arcsec_h * hours / 3600.0 for e in planted])
    ra = np.array([e.ra_deg + e.ra_rate_arcsec_h * hours / 3600.0 / math.cos(math.radians(e.dec_deg)) for e in planted])
    near = catalogue.separation_deg(ra, dec, piece.centre.ra_deg, piece.centre.dec_deg) < 5.0
    return catalogue.Stars(
        np.concatenate([stars.ra_deg, ra[near]]),
        np.concatenate([stars.dec_deg, dec[near]]),
        np.concatenate([stars.mag, np.array([e.mag for e in planted])[near]]),
        np.concatenate([stars.colour, np.full(int(near.sum()), 0.5)]),
    )


def _scintillation(scene: Scene) -> float:
    """Relative RMS of a star's flux (Young 1967, AJ 72, 747)."""
    airmass = ephemeris.airmass(scene.altitude_deg)
    diameter_cm = scene.optics.aperture_mm / 10.0
    return float(min(0.3, 0.09 * diameter_cm ** (-2 / 3) * airmass**1.75 / math.sqrt(2.0 * scene.exposure_s)))


def _passes_at(field: Field, x: Float64, y: Float64) -> Float64:
    """The clouds' transmission at pixels, from the coarse map's nearest point."""
    rows, columns = field.transmission.shape
    row = np.rint(y / field.scene.sensor.height_px * (rows - 1))
    column = np.rint(x / field.scene.sensor.width_px * (columns - 1))
    row, column = np.clip(row, 0, rows - 1), np.clip(column, 0, columns - 1)
    return np.asarray(field.transmission[row.astype(np.int64), column.astype(np.int64)])


def _colours(scene: Scene, colour: Float64) -> Float64:
    """Each star's flux factor at the four Bayer positions (rows of four; all alike for a mono sensor)."""
    if scene.sensor.bayer is None:
        return np.repeat((10.0 ** (0.4 * scene.filter.colour_term * (colour - 0.65)))[:, None], 4, axis=1)
    return np.stack(
        [share * 10.0 ** (0.4 * term * (colour - 0.65)) for share, term in _channels(scene.sensor.bayer)],
        axis=1,
    )


# -- galaxies and streaks ------------------------------------------------------------------------------------


def _draw_galaxies(field: Field, piece: Piece, bank: psf.Bank, canvas: Canvas, faintest: float) -> None:
    scene = field.scene
    centre = piece.centre
    galaxies = catalogue.galaxies_in_cone(centre.ra_deg, centre.dec_deg, _cone_deg(scene, 0.0), faintest - 0.5)
    x, y = sky_to_pixel(scene, centre, galaxies.ra_deg, galaxies.dec_deg)
    flux = field.zero_e * piece.share * 10.0 ** (-0.4 * galaxies.mag) * _passes_at(field, x, y)
    tinted = flux[:, None] * _colours(scene, np.full(len(galaxies), 0.85))
    radius_px = galaxies.radius_arcsec / scene.scale_arcsec
    angle = np.radians(galaxies.angle_deg - centre.rotation_deg)
    for k in range(len(galaxies)):
        shape = Ellipse(
            float(radius_px[k]), float(galaxies.axis_ratio[k]), float(angle[k]), bool(galaxies.elliptical[k])
        )
        canvas.add_galaxy(0.6 * bank.core_px, float(x[k]), float(y[k]), tinted[k], shape)


def _draw_streak(field: Field, streak: Streak, bank: psf.Bank, canvas: Canvas) -> None:
    """A moving light as a row of stamps, half a pixel apart."""
    scene = field.scene
    width, height = scene.sensor.width_px, scene.sensor.height_px
    dx, dy = (streak.x1 - streak.x0) * width, (streak.y1 - streak.y0) * height
    length_px = math.hypot(dx, dy)
    if length_px < 1.0:
        return
    along: Float64 = (np.arange(math.ceil(length_px / 0.5), dtype=np.float64) + 0.5) * 0.5 / length_px
    x, y = streak.x0 * width + along * dx, streak.y0 * height + along * dy
    step_s = 0.5 * scene.scale_arcsec / streak.rate_arcsec_s
    rate_e_s = field.zero_e / scene.exposure_s * 10.0 ** (-0.4 * streak.mag)
    flux = rate_e_s * step_s * _brightness(streak, along) * _passes_at(field, x, y)
    canvas.add_stars(bank, Lights(x, y, flux, _colours(scene, np.full(len(x), 0.65))), 0.0)


def _brightness(streak: Streak, along: Float64) -> Float64:
    """How a streak's light varies along its way."""
    light = 1.0 - streak.tumble * np.sin(math.pi * streak.flashes * along) ** 2
    if streak.flare:
        light *= np.clip(along, 0, 1) ** 1.2 * np.clip(1.0 - along, 0, 1) ** 0.5 * 2.0
    return np.asarray(light)
