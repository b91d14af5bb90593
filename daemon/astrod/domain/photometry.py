"""How bright things are: magnitudes, zero points, and what a frame can still show."""

import math
from dataclasses import dataclass

MAGNITUDE_OF_RELATIVE = 2.5 / math.log(10.0)
"""A relative error of the flux times this is an error in magnitudes, while it is small."""

LEAST_MATCHES = 8
"""With fewer unsaturated stars of a catalogue a zero point is unknown."""


@dataclass(frozen=True, slots=True)
class ZeroPoint:
    """The magnitude of a source of 1 ADU in one frame, in a catalogue's band.

    `error_mag` is that of the zero point itself, `scatter_mag` that of one star about it, robust. With a colour term
    the magnitude is `magnitude + colour_term · (colour - colour_at)` for a star of that `colour` ("BP-RP").
    """

    magnitude: float
    error_mag: float
    scatter_mag: float
    stars: int
    band: str
    catalogue: str
    colour: str | None = None
    colour_term: float = 0.0
    colour_term_error: float = 0.0
    colour_at: float = 0.0


@dataclass(frozen=True, slots=True)
class Unknown:
    """A quantity that the frame does not tell, and why."""

    reason: str


def magnitude_of(flux_adu: float, zero_point: ZeroPoint) -> float:
    """The magnitude of a flux; NaN where there is none.

    >>> magnitude_of(100.0, ZeroPoint(25.0, 0.01, 0.05, 20, "V", "test"))
    20.0
    """
    return zero_point.magnitude - 2.5 * math.log10(flux_adu) if flux_adu > 0.0 else math.nan


def sky_brightness(level_adu: float, scale_arcsec_px: float, zero_point: ZeroPoint) -> float:
    """Magnitudes per square arcsecond of a sky of that level per pixel; the pedestal must be off it.

    >>> round(sky_brightness(400.0, 2.0, ZeroPoint(25.0, 0.01, 0.05, 20, "V", "test")), 3)
    20.0
    """
    return magnitude_of(level_adu / scale_arcsec_px**2, zero_point)


def limiting_magnitude(noise_adu: float, noise_pixels: float, zero_point: ZeroPoint, sigmas: float = 5.0) -> float:
    """The magnitude of a point source at so many sigmas of the sky, fitted with the frame's own PSF.

    `noise_pixels` is that PSF's equivalent area 1/Σp² (King 1983, PASP 95, 163).
    """
    return magnitude_of(sigmas * noise_adu * math.sqrt(noise_pixels), zero_point)


WAVELENGTH_NM = {
    "u": 355.0,
    "BT": 420.0,
    "B": 440.0,
    "g": 480.0,
    "BP": 511.0,
    "VT": 532.0,
    "V": 551.0,
    "r": 620.0,
    "G": 622.0,
    "R": 658.0,
    "i": 755.0,
    "RP": 777.0,
    "I": 806.0,
    "z": 870.0,
}
"""Middles of the bands that catalogues give, nanometres."""

_FILTERS_NM = {
    "OIII": 501.0,
    "HA": 656.0,
    "SII": 672.0,
    "HB": 486.0,
    "RED": 620.0,
    "GREEN": 535.0,
    "BLUE": 460.0,
    "TR": 620.0,
    "TG": 535.0,
    "TB": 460.0,
}
_BROAD_NM = 600.0


def band_for(filter_name: str | None, bands: tuple[str, ...], green: bool = False) -> str:
    """The band of a catalogue nearest to a filter; for broad ones (clear, luminance, none) the one nearest 600 nm.

    `green`: the frame is the green of a Bayer sensor, so its filter says nothing but what is cut off at the ends. A
    filter named exactly as a band is that band; a lone G is taken for the green of a colour set unless the catalogue
    is Gaia's.

    >>> band_for("V", ("G", "BP", "RP")), band_for(None, ("VT",)), band_for("r'", ("g", "r", "i"))
    ('BP', 'VT', 'r')
    """
    name = (filter_name or "").strip().removesuffix("'").removeprefix("Sloan ").removeprefix("SDSS ")
    if not green and name in bands and name != "G":
        return name
    if green or (name == "G" and "G" not in bands):
        middle = _FILTERS_NM["GREEN"]
    else:
        middle = WAVELENGTH_NM.get(name) or _FILTERS_NM.get(name.upper().replace("-", ""), _BROAD_NM)
    return min(bands, key=lambda band: (abs(WAVELENGTH_NM.get(band, _BROAD_NM) - middle), band))


def colour_for(bands: tuple[str, ...]) -> tuple[str, str] | None:
    """Two bands whose difference tells a star's colour: the bluest and the reddest; None with fewer than two."""
    ordered = sorted((band for band in bands if band in WAVELENGTH_NM), key=lambda band: WAVELENGTH_NM[band])
    return (ordered[0], ordered[-1]) if len(ordered) >= 2 else None
