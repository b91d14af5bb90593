"""Everything a frame depends on, as plain values: what `render` is given.

Every field has a sane default, so `Scene()` is a good one-minute frame on a dark night, and a fault is one
keyword away: `Scene(defocus_um=120)`, `Scene(cloud=Cloud(cover=0.8, thickness_mag=2))`,
`Scene(pointings=trail(10.0, 41.0, 8.0))`.
"""

import math
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Optics:
    """A telescope. `obstruction` is the secondary's diameter as a share of the aperture (0: a refractor),
    `vignetting` the light lost in the corners, `throughput` that of optics and sensor together.
    """

    focal_length_mm: float = 400.0
    aperture_mm: float = 80.0
    obstruction: float = 0.0
    throughput: float = 0.6
    vignetting: float = 0.25
    dust_motes: int = 6

    @property
    def focal_ratio(self) -> float:
        return self.focal_length_mm / self.aperture_mm


@dataclass(frozen=True, slots=True)
class Sensor:
    """A camera's constants. `seed` fixes its hot pixels, dust and pixel response for good.

    `dark_e_s` is the dark current at 20 C; it doubles every 6 degrees. `bayer` is the pattern of the
    top-left 2x2 (RGGB, GRBG…) or None for mono. `blooming` is the share of charge above full well that runs
    along the column.
    """

    width_px: int = 1936
    height_px: int = 1096
    pixel_um: float = 2.9
    bayer: str | None = None
    egain_e_per_adu: float = 0.3
    full_well_e: float = 20_000.0
    bias_adu: float = 500.0
    read_noise_e: float = 2.5
    adc_bits: int = 14
    dark_e_s: float = 0.15
    hot_share: float = 3e-4
    blooming: float = 0.15
    cosmic_rays_cm2_min: float = 2.0
    seed: int = 1


@dataclass(frozen=True, slots=True)
class Filter:
    """A filter: its width (angstroms), the air's extinction in it, and how much brighter a star of B-V 1
    looks in it than one of B-V 0, magnitudes.
    """

    name: str = "L"
    width_angstrom: float = 3000.0
    extinction: float = 0.2
    colour_term: float = 0.1


FILTERS = {
    f.name: f
    for f in (
        Filter("L", 3000.0, 0.20, 0.1),
        Filter("R", 1000.0, 0.12, 0.6),
        Filter("G", 900.0, 0.19, 0.05),
        Filter("B", 1000.0, 0.30, -0.9),
        Filter("Ha", 70.0, 0.11, 0.7),
        Filter("OIII", 65.0, 0.21, -0.1),
        Filter("SII", 70.0, 0.10, 0.75),
    )
}
"""The filters known by name; any other name is taken for clear glass, like L."""


def filter_named(name: str | None) -> Filter:
    """The filter of that name; clear glass for None and for names not in `FILTERS`."""
    return FILTERS.get(name or "L", Filter(name or "L"))


@dataclass(frozen=True, slots=True)
class Pointing:
    """Where the optical axis points (ICRS) at a fraction of the exposure, and the position angle of the
    frame's upper edge, degrees from north through east.
    """

    at: float = 0.0
    ra_deg: float = 83.82
    dec_deg: float = 22.01
    rotation_deg: float = 0.0


@dataclass(frozen=True, slots=True)
class Cloud:
    """A layer of cloud that drifts. `cover` is the share of the sky it takes, `thickness_mag` what its
    thick parts cost a star. `offset_m` says how far the wind has carried it when the exposure begins
    (east, north).
    """

    cover: float = 0.0
    thickness_mag: float = 3.0
    height_m: float = 3000.0
    offset_m: tuple[float, float] = (0.0, 0.0)
    drift_m_s: tuple[float, float] = (8.0, 3.0)
    seed: int = 1


@dataclass(frozen=True, slots=True)
class Streak:
    """A satellite, aircraft or meteor that crosses the frame: from (x0, y0) to (x1, y1) in fractions of it
    (values beyond 0..1 begin outside), as bright as a star of magnitude `mag` that moves at
    `rate_arcsec_s`. `tumble` is the depth of its variation (0 steady, 1 flashing), `flashes` how often
    it flashes along the way; `flare` gives it the rise and fall of a meteor.
    """

    x0: float = -0.1
    y0: float = 0.3
    x1: float = 1.1
    y1: float = 0.6
    mag: float = 5.0
    rate_arcsec_s: float = 1200.0
    tumble: float = 0.0
    flashes: float = 6.0
    flare: bool = False


@dataclass(frozen=True, slots=True)
class Transient:
    """A star that no catalogue has: a nova, or with a rate (arcseconds per hour on the sky) an asteroid."""

    ra_deg: float
    dec_deg: float
    mag: float
    ra_rate_arcsec_h: float = 0.0
    dec_rate_arcsec_h: float = 0.0


Event = Streak | Transient


@dataclass(frozen=True, slots=True)
class Scene:
    """One exposure, as the sky, the telescope and the camera make it.

    `seeing_arcsec` is the FWHM at the field, airmass included; `jitter_arcsec` the RMS shake of the mount;
    `defocus_um` the sensor's distance from best focus. `sky_mag_arcsec2` is the clear sky in V at the
    field, with moon and twilight (see `light`). `roof_open` is the share of the aperture that sees the sky;
    `panel_e_s` what a light panel before it leaves in a pixel, electrons a second.
    Two scenes that are equal give the same pixels.
    """

    seed: int = 1
    exposure_s: float = 60.0
    pointings: tuple[Pointing, ...] = (Pointing(),)
    altitude_deg: float = 60.0
    azimuth_deg: float = 180.0
    filter: Filter = Filter()
    optics: Optics = field(default_factory=Optics)
    sensor: Sensor = field(default_factory=Sensor)
    seeing_arcsec: float = 2.6
    jitter_arcsec: float = 0.4
    defocus_um: float = 0.0
    sky_mag_arcsec2: float = 21.0
    cloud: Cloud | None = None
    town_light: float = 1.0
    temperature_c: float = -5.0
    binning: int = 1
    light: bool = True
    roof_open: float = 1.0
    panel_e_s: float = 0.0
    events: tuple[Event, ...] = ()

    def __post_init__(self) -> None:
        if not self.pointings:
            raise ValueError("a scene needs at least one pointing; give Pointing(ra_deg=…, dec_deg=…)")
        if self.exposure_s < 0.0 or self.binning < 1:
            raise ValueError(f"exposure {self.exposure_s} s must be 0 or more, binning {self.binning} 1 or more")

    @property
    def scale_arcsec(self) -> float:
        """Arcseconds per (unbinned) pixel."""
        return 206.265 * self.sensor.pixel_um / self.optics.focal_length_mm


def trail(ra_deg: float, dec_deg: float, length_arcsec: float, angle_deg: float = 90.0) -> tuple[Pointing, ...]:
    """A steady drift of the axis over the exposure, towards a position angle (90: east)."""
    east = length_arcsec / 3600.0 * math.sin(math.radians(angle_deg)) / math.cos(math.radians(dec_deg))
    north = length_arcsec / 3600.0 * math.cos(math.radians(angle_deg))
    return Pointing(0.0, ra_deg, dec_deg), Pointing(1.0, (ra_deg + east) % 360.0, dec_deg + north)
