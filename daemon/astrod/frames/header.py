"""A frame's FITS header, from the facts of its exposure.

Keywords follow the FITS standard 4.0 where it has them, and otherwise what Siril, PixInsight and N.I.N.A.
read. A fact that is None leaves its keyword out: a header claims nothing that nobody measured.
"""

import math
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

from astrod import __version__
from astrod.domain.exposure import FrameKind, Intent
from astrod.domain.instant import SECOND_US, iso, jd_utc
from astrod.domain.site import Place
from astrod.domain.sphere import airmass, separation_deg
from astrod.runtime.offline import go_offline

Value = str | int | float | bool
Card = tuple[str, Value, str]

IMAGE_TYPES: dict[FrameKind, str] = {
    "light": "Light Frame",
    "test": "Light Frame",  # PURPOSE tells it from a light; stacking programs know these four names only
    "focus": "Light Frame",
    "dark": "Dark Frame",
    "bias": "Bias Frame",
    "flat": "Flat Frame",
}

_WEATHER_KEYS = {
    "temperature_c": ("AMBTEMP", "[degC] ambient temperature"),
    "humidity_percent": ("HUMIDITY", "[%] relative humidity"),
    "dew_point_c": ("DEWPOINT", "[degC] dew point"),
    "pressure_hpa": ("PRESSURE", "[hPa] air pressure at the site"),
    "wind_m_s": ("WINDSPD", "[m/s] wind speed"),
    "gust_m_s": ("WINDGUST", "[m/s] wind gust"),
    "cloud_percent": ("CLOUDCVR", "[%] cloud cover"),
    "sky_temperature_c": ("SKYTEMP", "[degC] sky temperature"),
    "sky_brightness_mag": ("MPSAS", "[mag/arcsec2] sky brightness"),
}

_ARCSEC_PER_RADIAN = 206264.80624709636
_MJD_OF_JD_ZERO = 2400000.5
_DAY_US = 86_400 * SECOND_US
_HOUR_US = 3_600 * SECOND_US
_MEAN_POLE = 0.035 / _ARCSEC_PER_RADIAN, 0.29 / _ARCSEC_PER_RADIAN  # of fifty years, as astropy has it


@dataclass(frozen=True, slots=True)
class FrameFacts:
    """All that is known of an exposure when its pixels arrive; plain values only, so it crosses processes.

    `exposure_s` is the true length, which may differ from `intent.exposure_s`. `ra_deg`, `dec_deg` are where
    the mount said it pointed (ICRS); without them the intent's are used. `pixel_um` is unbinned. `weather`
    goes by the canonical names of `astrod_drivers.protocols.WeatherReading`. `row_order` None: as
    the camera's own file says, else TOP-DOWN. `bayer` is the pattern of the first 2x2 pixels as stored, None
    for mono.
    `started_error_us` is the uncertainty of the shutter, `time_error_us` that of the clock.
    """

    intent: Intent
    place: Place
    started_us: int
    exposure_s: float
    site_title: str = ""
    started_error_us: int = 0
    time_source: str | None = None
    time_error_us: int | None = None
    focal_length_mm: float | None = None
    aperture_mm: float | None = None
    telescope: str | None = None
    camera: str | None = None
    pixel_um: float | None = None
    bayer: str | None = None
    row_order: str | None = None
    gain: float | None = None
    egain_e_per_adu: float | None = None
    offset: float | None = None
    saturation_adu: int | None = None
    set_temperature_c: float | None = None
    temperature_c: float | None = None
    pier_side: str | None = None
    filter: str | None = None
    ra_deg: float | None = None
    dec_deg: float | None = None
    focus_position: int | None = None
    focus_temperature_c: float | None = None
    rotator_deg: float | None = None
    observer: str | None = None
    guide_rms_ra_arcsec: float | None = None
    guide_rms_dec_arcsec: float | None = None
    weather: dict[str, float] = field(default_factory=dict)

    @property
    def middle_us(self) -> int:
        """Mid-exposure."""
        return self.started_us + round(self.exposure_s * SECOND_US / 2)

    @property
    def end_us(self) -> int:
        """When the shutter closed."""
        return self.started_us + round(self.exposure_s * SECOND_US)

    @property
    def pointing_deg(self) -> tuple[float, float] | None:
        """Right ascension and declination, ICRS: the mount's word, else the intent's; None for neither."""
        if self.ra_deg is not None and self.dec_deg is not None:
            return self.ra_deg, self.dec_deg
        if self.intent.ra_deg is not None and self.intent.dec_deg is not None:
            return self.intent.ra_deg, self.intent.dec_deg
        return None


@dataclass(frozen=True, slots=True)
class SkyFacts:
    """Where Sun, Moon and target stood at mid-exposure, seen from the site; degrees, without refraction."""

    sun_alt_deg: float
    moon_alt_deg: float
    moon_lit_percent: float
    tdb_jd: float
    geocentric_m: tuple[float, float, float]
    alt_deg: float | None = None
    az_deg: float | None = None
    moon_separation_deg: float | None = None
    bjd_tdb: float | None = None


def sky_of(place: Place, instant_us: int, pointing_deg: tuple[float, float] | None) -> SkyFacts:
    """The sky at an instant, by ERFA with its built-in ephemeris: what astropy's transformations say to a
    thousandth of an arcsecond (an arcsecond for Sun and Moon), in a hundredth of their time.
    """
    import erfa

    utc = 2440587.5, instant_us / _DAY_US
    dut1_s, pole_x, pole_y = _earth_rotation(instant_us // _HOUR_US)
    longitude, latitude = math.radians(place.longitude_deg), math.radians(place.latitude_deg)
    at, _ = erfa.apco13(*utc, dut1_s, longitude, latitude, place.height_m, pole_x, pole_y, 0.0, 0.0, 0.0, 0.5)
    x_m, y_m, z_m = (float(axis) for axis in erfa.gd2gc(erfa.WGS84, longitude, latitude, place.height_m))
    tdb = _tdb(utc, dut1_s, longitude, (x_m, y_m, z_m))
    sun, moon = (_apparent(at, body, tdb) for body in ("sun", "moon"))
    (sun_alt, _), (moon_alt, _) = _horizontal_deg(at, sun), _horizontal_deg(at, moon)
    lit = _lit_percent(separation_deg(moon.ra_deg, moon.dec_deg, sun.ra_deg, sun.dec_deg), moon.away_au, sun.away_au)
    if pointing_deg is None:
        return SkyFacts(sun_alt, moon_alt, lit, tdb[0] + tdb[1], (x_m, y_m, z_m))
    alt_deg, az_deg = _horizontal_deg(at, Direction(*pointing_deg))
    star = erfa.s2c(*map(math.radians, pointing_deg))
    early_d = float(star @ at["eb"]) * erfa.AULT / 86400.0
    return SkyFacts(
        sun_alt,
        moon_alt,
        lit,
        tdb[0] + tdb[1],
        (x_m, y_m, z_m),
        alt_deg=alt_deg,
        az_deg=az_deg,
        moon_separation_deg=separation_deg(*pointing_deg, moon.ra_deg, moon.dec_deg),
        bjd_tdb=tdb[0] + (tdb[1] + early_d),
    )


@dataclass(frozen=True, slots=True)
class Direction:
    """Where something is seen from the site: ICRS axes, without aberration, and how far, if it is near."""

    ra_deg: float
    dec_deg: float
    away_au: float = math.inf


@lru_cache(maxsize=4)
def _earth_rotation(hour: int) -> tuple[float, float, float]:
    """UT1-UTC in seconds and the pole's place in radians, in an hour counted from 1970.

    Past the end of the packaged table UT1's last value and the pole's mean hold.
    """
    go_offline()
    from astropy.utils import iers

    table = iers.earth_orientation_table.get()
    jd = 2440587.5, (hour + 0.5) / 24.0
    dut1, _ = table.ut1_utc(*jd, return_status=True)
    x, y, pole_status = table.pm_xy(*jd, return_status=True)
    if pole_status == iers.TIME_BEYOND_IERS_RANGE:
        return float(dut1.to_value("s")), *_MEAN_POLE
    return float(dut1.to_value("s")), float(x.to_value("rad")), float(y.to_value("rad"))


def _tdb(
    utc: tuple[float, float], dut1_s: float, longitude: float, site_m: tuple[float, float, float]
) -> tuple[float, float]:
    """Barycentric dynamical time at the site, as a Julian date in two parts."""
    import erfa

    tt = erfa.taitt(*erfa.utctai(*utc))
    ut1_jd, ut1_d = erfa.utcut1(*utc, dut1_s)
    off_axis_km, along_axis_km = math.hypot(site_m[0], site_m[1]) / 1e3, site_m[2] / 1e3
    early_s = erfa.dtdb(*tt, (float(ut1_jd) - 0.5 + float(ut1_d)) % 1.0, longitude, off_axis_km, along_axis_km)
    jd, rest = erfa.tttdb(*tt, early_s)
    return float(jd), float(rest)


def _apparent(at: Any, body: str, tdb: tuple[float, float]) -> Direction:
    """Sun or Moon from the site, as the light that arrives now left it."""
    import erfa

    away_au = 1.0 if body == "sun" else 0.0026
    for _ in range(2):
        then = tdb[0], tdb[1] - away_au * erfa.AULT / 86400.0
        helio, bary = erfa.epv00(*then)
        place = bary["p"] - helio["p"] if body == "sun" else bary["p"] + erfa.moon98(*then)["p"]
        away_au, direction = erfa.pn(place - at["eb"])
    ra, dec = erfa.c2s(direction)
    return Direction(math.degrees(ra) % 360.0, math.degrees(dec), float(away_au))


def _horizontal_deg(at: Any, seen: Direction) -> tuple[float, float]:
    """Altitude without refraction, and azimuth."""
    import erfa

    intermediate = erfa.atciqz(math.radians(seen.ra_deg), math.radians(seen.dec_deg), at)
    azimuth, zenith_distance, *_ = erfa.atioq(*intermediate, at)
    return 90.0 - math.degrees(zenith_distance), math.degrees(azimuth) % 360.0


def _lit_percent(elongation_deg: float, moon_au: float, sun_au: float) -> float:
    """The Moon's illuminated fraction (Meeus, Astronomical Algorithms, ch. 48)."""
    e = math.radians(elongation_deg)
    phase = math.atan2(sun_au * math.sin(e), moon_au - sun_au * math.cos(e))
    return 50.0 * (1.0 + math.cos(phase))


def header_of(facts: FrameFacts, shape: tuple[int, int]) -> list[Card]:
    """All cards but those that describe the array itself (SIMPLE, BITPIX, NAXISn, BZERO) and the checksums.

    `shape` is that of the pixels: rows, columns. Text is transliterated to what FITS allows (ASCII). A card
    whose fact is None or not finite is left out.
    """
    sky = sky_of(facts.place, facts.middle_us, facts.pointing_deg)
    parts = (
        _identity(facts),
        _time(facts, sky),
        _camera(facts),
        _optics(facts),
        _site(facts, sky),
        _pointing(facts, sky),
        _guiding(facts),
        _wcs(facts, shape),
        _surroundings(facts, sky),
    )
    return [card for part in parts for card in _stated(part)]


_Maybe = tuple[str, Value | None, str]


def _stated(cards: Iterator[_Maybe]) -> Iterator[Card]:
    for keyword, value, comment in cards:
        if value is None or (isinstance(value, float) and not math.isfinite(value)):
            continue
        plain = ascii_text(value) if isinstance(value, str) else value
        yield keyword, plain, comment[: _comment_room(plain)]


def _comment_room(value: Value) -> int:
    """Characters left for the comment in a card of 80: `KEYWORD = value / comment`."""
    quoted = len(value.replace("'", "''")) + 2 if isinstance(value, str) else 0
    return max(0, 80 - 10 - max(20, quoted) - 3)


_SPELLED = str.maketrans(
    {"ß": "ss", "æ": "ae", "Æ": "Ae", "ø": "o", "Ø": "O", "ł": "l", "Ł": "L", "đ": "d", "Đ": "D", "þ": "th"}
    | {"µ": "u", "μ": "u", "°": "deg", "–": "-", "—": "-", "’": "'", "“": '"', "”": '"', "α": "alpha"}
    | {"β": "beta", "γ": "gamma", "δ": "delta", "σ": "sigma", "ω": "omega", "×": "x", "ı": "i", "œ": "oe"}
)


def ascii_text(text: str) -> str:
    """`text` in printable ASCII, as FITS demands: accents dropped, what has no spelling becomes `?`."""
    plain = unicodedata.normalize("NFKD", text.translate(_SPELLED))
    kept = (c for c in plain if not unicodedata.combining(c))
    return "".join(c if " " <= c <= "~" else " " if c.isspace() else "?" for c in kept)


def _identity(facts: FrameFacts) -> Iterator[_Maybe]:
    intent = facts.intent
    yield "EXPID", str(intent.id), "astrod exposure id"
    yield "NIGHT", str(intent.id.night), "date of the local noon before"
    yield "OBJECT", intent.target, "target"
    yield "IMAGETYP", IMAGE_TYPES[intent.kind], "kind of frame"
    yield "PURPOSE", intent.kind, "what astrod took it for"
    yield "REQUEST", intent.request, "astrod request that asked for it"
    yield "RETAKEOF", intent.retake_of, "exposure id that this one repeats"
    yield "SWCREATE", f"astrod {__version__}", "software that wrote this file"
    yield "OBSERVER", facts.observer, "observer"


def _time(facts: FrameFacts, sky: SkyFacts) -> Iterator[_Maybe]:
    error_us = facts.time_error_us
    total_us = None if error_us is None else math.hypot(error_us, facts.started_error_us)
    yield "TIMESYS", "UTC", "time scale of the dates here"
    yield "DATE-OBS", _fits_date(facts.started_us), "UTC, start of exposure"
    yield "DATE-AVG", _fits_date(facts.middle_us), "UTC, mid-exposure"
    yield "DATE-END", _fits_date(facts.end_us), "UTC, end of exposure"
    yield "STARTUS", facts.started_us, "[us] start of exposure, UTC since 1970-01-01"
    yield "MJD-OBS", jd_utc(facts.started_us) - _MJD_OF_JD_ZERO, "[d] UTC, start of exposure"
    yield "MJD-AVG", jd_utc(facts.middle_us) - _MJD_OF_JD_ZERO, "[d] UTC, mid-exposure"
    yield "MJD-END", jd_utc(facts.end_us) - _MJD_OF_JD_ZERO, "[d] UTC, end of exposure"
    yield "JD_UTC", jd_utc(facts.middle_us), "[d] UTC, mid-exposure"
    yield "BJD_TDB", sky.bjd_tdb, "[d] TDB at the barycentre, mid-exposure"
    yield "TIMESRC", facts.time_source, "what sets the clock"
    yield (
        "TIMEERR",
        None if total_us is None else round(total_us) / SECOND_US,
        "[s] error of DATE-OBS, clock and shutter",
    )
    yield "TIMSYER", None if error_us is None else error_us / SECOND_US, "[s] error of the clock"
    yield "TIMRDER", facts.started_error_us / SECOND_US, "[s] error of the shutter's start"
    yield "EXPTIME", facts.exposure_s, "[s] exposure"
    yield "EXPOSURE", facts.exposure_s, "[s] exposure"


def _fits_date(instant_us: int) -> str:
    return iso(instant_us).removesuffix("Z")


def _plain(setting: float | None) -> Value | None:
    """A camera's setting as it is spoken of: 100, not 100.0."""
    return int(setting) if setting is not None and setting.is_integer() else setting


def _camera(facts: FrameFacts) -> Iterator[_Maybe]:
    binning = facts.intent.binning
    binned_um = None if facts.pixel_um is None else facts.pixel_um * binning
    colour = facts.bayer is not None
    yield "INSTRUME", facts.camera, "camera"
    yield "XBINNING", binning, "binning along rows"
    yield "YBINNING", binning, "binning along columns"
    yield "XPIXSZ", binned_um, "[um] pixel width, binning included"
    yield "YPIXSZ", binned_um, "[um] pixel height, binning included"
    yield "GAIN", _plain(facts.gain), "camera's gain setting"
    yield "EGAIN", facts.egain_e_per_adu, "[e-/ADU] electrons per count"
    yield "OFFSET", _plain(facts.offset), "camera's offset setting"
    yield "SATURATE", facts.saturation_adu, "[ADU] counts where the pixel is full"
    yield "SET-TEMP", facts.set_temperature_c, "[degC] sensor temperature asked for"
    yield "CCD-TEMP", facts.temperature_c, "[degC] sensor temperature at the start"
    yield "BAYERPAT", facts.bayer, "colours of the first 2x2 pixels"
    yield "XBAYROFF", 0 if colour else None, "offset of the pattern along rows"
    yield "YBAYROFF", 0 if colour else None, "offset of the pattern along columns"
    yield "ROWORDER", facts.row_order or "TOP-DOWN", "where the first row stored belongs"


def _optics(facts: FrameFacts) -> Iterator[_Maybe]:
    focal_mm, aperture_mm = facts.focal_length_mm, facts.aperture_mm
    yield "TELESCOP", facts.telescope or facts.intent.rig, "telescope"
    yield "RIG", facts.intent.rig, "astrod rig"
    yield "TRAIN", facts.intent.train, "astrod train"
    yield "FOCALLEN", focal_mm, "[mm] focal length"
    yield "APTDIA", aperture_mm, "[mm] aperture"
    yield "FOCRATIO", round(focal_mm / aperture_mm, 3) if focal_mm and aperture_mm else None, "focal ratio"
    yield "FILTER", facts.filter or facts.intent.filter, "filter"
    yield (
        "PIERSIDE",
        facts.pier_side.upper() if facts.pier_side else None,
        "side of the pier the telescope is on",
    )
    yield "FOCPOS", facts.focus_position, "[step] focuser position"
    yield "FOCTEMP", facts.focus_temperature_c, "[degC] focuser temperature"
    yield "ROTATANG", facts.rotator_deg, "[deg] rotator, mechanical angle"


def _site(facts: FrameFacts, sky: SkyFacts) -> Iterator[_Maybe]:
    yield "SITENAME", facts.site_title or facts.intent.id.site, "observatory"
    yield "SITELAT", facts.place.latitude_deg, "[deg] latitude, WGS84, north positive"
    yield "SITELONG", facts.place.longitude_deg, "[deg] longitude, WGS84, east positive"
    yield "SITEELEV", facts.place.height_m, "[m] height above sea level"
    for axis, value_m in zip("XYZ", sky.geocentric_m, strict=True):
        yield f"OBSGEO-{axis}", round(value_m, 2), "[m] observatory, geocentric ITRS"


def _pointing(facts: FrameFacts, sky: SkyFacts) -> Iterator[_Maybe]:
    if facts.pointing_deg is None or sky.alt_deg is None:
        return
    ra_deg, dec_deg = facts.pointing_deg
    told = facts.ra_deg is not None and facts.dec_deg is not None
    origin = "mount's word" if told else "as asked for"
    yield "RA", ra_deg, f"[deg] right ascension, ICRS, {origin}"
    yield "DEC", dec_deg, f"[deg] declination, ICRS, {origin}"
    yield "OBJCTRA", sexagesimal(ra_deg / 15.0, 2, signed=False), "[h m s] right ascension, ICRS"
    yield "OBJCTDEC", sexagesimal(dec_deg, 1, signed=True), "[d m s] declination, ICRS"
    yield "OBJCTALT", sky.alt_deg, "[deg] altitude at mid-exposure, no refraction"
    yield "OBJCTAZ", sky.az_deg, "[deg] azimuth at mid-exposure, north 0, east 90"
    yield "AIRMASS", airmass(sky.alt_deg), "airmass at mid-exposure (Kasten & Young 1989)"


def _guiding(facts: FrameFacts) -> Iterator[_Maybe]:
    ra, dec = facts.guide_rms_ra_arcsec, facts.guide_rms_dec_arcsec
    yield "GUIDERMS", None if ra is None or dec is None else math.hypot(ra, dec), "[arcsec] guiding error, RMS"
    yield "GUIDERA", ra, "[arcsec] guiding error in right ascension, RMS"
    yield "GUIDEDEC", dec, "[arcsec] guiding error in declination, RMS"


def sexagesimal(value: float, decimals: int, *, signed: bool) -> str:
    """`5 35 17.30` or `-05 23 28.0`: three fields, rounded without ever showing sixty."""
    scale = 10**decimals
    ticks = round(abs(value) * 3600 * scale)
    minutes, ticks_of_seconds = divmod(ticks, 60 * scale)
    whole, minute = divmod(minutes, 60)
    seconds = f"{ticks_of_seconds / scale:0{decimals + 3}.{decimals}f}"
    sign = ("-" if value < 0 else "+") if signed else ""
    return f"{sign}{whole if signed else whole % 24:02d} {minute:02d} {seconds}"


def _wcs(facts: FrameFacts, shape: tuple[int, int]) -> Iterator[_Maybe]:
    """A first guess: north up as the picture is meant to be seen, east to the left, at the pointing."""
    if facts.pointing_deg is None:
        return
    yield "RADESYS", "ICRS", "frame of RA, DEC and the WCS"
    yield "EQUINOX", 2000.0, "[yr] equinox, as older programs ask for it"
    if facts.pixel_um is None or facts.focal_length_mm is None:
        return
    pixel_mm = facts.pixel_um * facts.intent.binning / 1000.0
    scale_arcsec = _ARCSEC_PER_RADIAN * pixel_mm / facts.focal_length_mm
    scale_deg = scale_arcsec / 3600.0
    up = 1.0 if facts.row_order == "BOTTOM-UP" else -1.0
    rows, columns = shape
    yield "SCALE", scale_arcsec, "[arcsec] per pixel, from the optics"
    yield "CTYPE1", "RA---TAN", "guess from the pointing, not solved"
    yield "CTYPE2", "DEC--TAN", "guess from the pointing, not solved"
    yield "CUNIT1", "deg", "unit of axis 1"
    yield "CUNIT2", "deg", "unit of axis 2"
    yield "CRVAL1", facts.pointing_deg[0], "[deg] right ascension at the centre"
    yield "CRVAL2", facts.pointing_deg[1], "[deg] declination at the centre"
    yield "CRPIX1", (columns + 1) / 2.0, "[px] centre"
    yield "CRPIX2", (rows + 1) / 2.0, "[px] centre"
    yield "CD1_1", -scale_deg, "[deg/px] guess: rotation, parity unknown"
    yield "CD1_2", 0.0, "[deg/px] guess: rotation, parity unknown"
    yield "CD2_1", 0.0, "[deg/px] guess: rotation, parity unknown"
    yield "CD2_2", up * scale_deg, "[deg/px] guess: rotation, parity unknown"
    yield "WCSGUESS", True, "the WCS is a guess, not a solution"


def _surroundings(facts: FrameFacts, sky: SkyFacts) -> Iterator[_Maybe]:
    yield "SUNALT", sky.sun_alt_deg, "[deg] Sun's altitude at mid-exposure"
    yield "MOONALT", sky.moon_alt_deg, "[deg] Moon's altitude at mid-exposure"
    yield "MOONPHAS", round(sky.moon_lit_percent, 2), "[%] Moon's disc lit"
    yield "MOONSEP", sky.moon_separation_deg, "[deg] Moon to target"
    yield "MOONANGL", sky.moon_separation_deg, "[deg] Moon to target"
    for name, (keyword, comment) in _WEATHER_KEYS.items():
        yield keyword, facts.weather.get(name), comment
