"""The site, its roof, and what says whether it may be open."""

from datetime import datetime
from typing import Annotated, Literal

from pydantic import Field

from astrod.config.schema.key import (
    NAME,
    Address,
    Named,
    Outlet,
    Quantity,
    Section,
    SourceAddress,
    key,
    section,
    sections,
)


class SiteSection(Section):
    """The observatory itself."""

    name: str = key(
        ...,
        "Short name, in file names and exposure ids for ever: lower-case letters, digits and _.",
        when="restart",
        example="home",
        pattern=NAME,
    )
    title: str = key("", "The name for people.", when="restart", example="Home observatory")
    latitude_deg: float = key(..., "Latitude, WGS84, north positive.", when="restart", example=41.7, ge=-90, le=90)
    longitude_deg: float = key(..., "Longitude, WGS84, east positive.", when="restart", example=1.4, ge=-180, le=180)
    height_m: float = key(..., "Height above sea level.", when="restart", example=760.0, ge=-430, le=9000)
    min_altitude_deg: float = key(25.0, "Nothing is observed below this altitude.", when="restart", ge=0, lt=90)
    horizon: list[Annotated[list[float], Field(min_length=2, max_length=2)]] = key(
        [],
        "What stands around: [azimuth_deg, altitude_deg] points, joined by straight lines; east is 90.",
        when="restart",
        example=[[0.0, 20.0], [90.0, 35.0], [180.0, 20.0], [270.0, 28.0]],
    )
    roof: Literal["none"] | None = key(
        None,
        'Write "none" where there is nothing to open (and no [roof]); attend such a site until dawn.',
        when="restart",
        example="none",
    )
    weather: Literal["none"] | None = key(
        None,
        'Write "none" where a roof opens with no weather source: then a person must watch the sky.',
        when="restart",
        example="none",
    )


class DarknessSection(Section):
    """How dark it must be, as altitudes of the Sun."""

    observe_below_deg: float = key(-12.0, "Exposures of the sky begin and end here.", when="restart", ge=-30, le=5)
    prepare_below_deg: float = key(-6.0, "Cooling and opening begin here.", when="restart", ge=-30, le=10)
    roof_below_deg: float = key(0.0, "With the Sun above this an open roof is unsafe.", when="restart", ge=-18, le=90)
    not_before: datetime | None = key(
        None,
        "No exposure before this moment (write the zone: Z is UTC).",
        when="restart",
        example=datetime.fromisoformat("2026-12-14T22:00:00+00:00"),
    )
    not_after: datetime | None = key(
        None,
        "No exposure after this moment.",
        when="restart",
        example=datetime.fromisoformat("2026-12-15T05:00:00+00:00"),
    )


class GeometrySection(Section):
    """A dome and the mount in it, so that the slit stands where the tube's axis leaves the dome."""

    radius_m: float = key(..., "Radius of the dome.", when="restart", example=1.35, gt=0, le=50)
    east_m: float = key(
        0.0, "From the dome's centre to where the mount's axes cross: east.", when="restart", ge=-50, le=50
    )
    north_m: float = key(0.0, "The same, north.", when="restart", ge=-50, le=50)
    up_m: float = key(0.0, "The same, up; the centre is that of the dome's sphere.", when="restart", ge=-50, le=50)
    tube_offset_m: float = key(
        0.0,
        "From a German mount's polar axis to the middle of the tube; 0 for others.",
        when="restart",
        ge=0,
        le=10,
    )


class RoofSection(Section):
    """The roof or dome over all rigs. Where there is none: no [roof], and roof = "none" under [site]."""

    address: Address = key(..., "The roof's device.", when="restart", example="sim://roof")
    needs_parked: bool = key(True, "The roof must not move over a mount that is not parked.", when="restart")
    interlock: Literal["none", "mount", "sensor", "solve"] | None = key(
        None,
        "What must tell that a mount is out of the way before the roof moves: none (the roof clears it), mount (its own"
        " park flag), sensor (its park_sensor), solve (its own park flag, and before closing a plate solve that shows"
        " the tube at park_place: under clouds such a roof stays open, see on_stuck_mount). Without it mount, or none"
        " where needs_parked is false.",
        when="restart",
        example="mount",
    )
    on_stuck_mount: Literal["stay_open", "close_anyway"] = key(
        "stay_open",
        "What to do under an unsafe sky when a mount that the roof could hit does not park, after its power was cycled"
        " where it can be: stay open with covers closed and call for help, or close all the same.",
        when="restart",
    )
    second_path: Named | None = key(
        None,
        "Another way to close the same roof, taken when the first hangs or fails: another driver's address, or"
        " ADDRESS#OUTLET, an outlet that closes the roof when it is switched on.",
        when="restart",
        example="sim://relay#Close the roof",
    )
    open_s: float = key(120.0, "Opening takes no longer than this.", when="restart", gt=0, le=1800)
    close_s: float = key(120.0, "Closing takes no longer than this.", when="restart", gt=0, le=1800)
    slit_within_deg: float | None = key(
        None,
        "For a dome: its slit follows the telescope and is never farther from it than this.",
        when="restart",
        example=5.0,
        gt=0,
        le=60,
    )
    geometry: GeometrySection | None = section("Where the mount stands in a dome with a slit.")
    power: Outlet | None = key(
        None,
        "The outlet that powers it; safety cycles it when the roof does not close, and never while the roof moves.",
        when="restart",
        example="indi://localhost:7624/Power Box#Outlet 1",
    )


class LimitSection(Section):
    """When a measured value is unsafe: above `high` or below `low`."""

    name: Quantity = key(..., "What is measured.", when="restart", example="wind_m_s")
    low: float | None = key(None, "Unsafe below this.", when="restart", example=0.0)
    high: float | None = key(None, "Unsafe above this.", when="restart", example=12.0, shown=True)
    margin: float = key(0.0, "How far inside the bound a value must return to be safe again.", when="restart", ge=0)


class WeatherSection(Section):
    """A source of readings, as many as there are: a weather station, a safety monitor, a UPS, or the host's own clock,
    disk or line to the internet. Each must be safe by its own limits. Unknown is unsafe.
    """

    name: str = key(..., "What to call it.", when="restart", example="station", pattern=NAME)
    address: SourceAddress = key(
        ...,
        "The source's device; or astrod://clock, astrod://disk, astrod://internet/HOST:PORT, nut://HOST/UPS.",
        when="restart",
        example="sim://weather",
    )
    kind: Literal["weather", "safety_monitor"] = key(
        "weather", "What it is: it measures, or it says safe or unsafe and no more.", when="restart"
    )
    action: Literal["unsafe", "no_slews", "warn"] = key(
        "unsafe",
        "What follows when it is not trusted: the site closes, or nothing begins that slews, or somebody is told.",
        when="restart",
    )
    poll_s: float = key(5.0, "Seconds between two readings.", when="restart", ge=0.5, le=600)
    stale_s: float = key(120.0, "An older reading counts for nothing.", when="restart", gt=0, le=3600)
    frozen_s: float = key(
        0.0,
        "Values that stay the same to the last digit this long come from a dead sensor; 0 is never.",
        when="restart",
        ge=0,
        le=86400,
    )
    unsafe_after: int = key(2, "Bad readings in a row that make it unsafe.", when="restart", ge=1, le=100)
    safe_after_s: float = key(300.0, "Good readings for this long make it safe again.", when="restart", ge=0, le=86400)
    limits: list[LimitSection] = sections("The limits of this source.", shown=True)


class AgreementSection(Section):
    """A quantity that two sources or more measure. Farther apart than this they are both suspect: unsafe."""

    name: Quantity = key(..., "What is measured.", when="restart", example="temperature_c")
    within: float = key(..., "How far apart they may be, in its own unit.", when="restart", example=5.0, gt=0)
    stale_s: float = key(120.0, "An older reading counts for nothing.", when="restart", gt=0, le=3600)
    unsafe_after_s: float = key(30.0, "Apart for this long makes it unsafe.", when="restart", ge=0, le=3600)
    safe_after_s: float = key(300.0, "In accord for this long makes it safe again.", when="restart", ge=0, le=86400)


class TimeSection(Section):
    """How good the host's clock must be, and who tells the mount where and when it is."""

    error_max_s: float = key(
        15.0,
        "With a greater error, or one that nobody states, nothing slews; 0 is never mind. At 16 s the kernel itself"
        " stops to vouch for a clock that NTP has left. Where all mounts are simulated it counts only if written.",
        when="restart",
        ge=0,
        le=3600,
    )
    gpsd: str | None = key(
        None,
        "HOST:PORT of a gpsd whose fix is a source of time beside the kernel's word.",
        when="restart",
        example="localhost:2947",
        pattern=r"^[^/:\s]+:\d{1,5}$",
    )
    gps: Address | None = key(
        None,
        "A GPS receiver behind an indiserver, the same beside it; a site that it sees elsewhere is told of.",
        when="restart",
        example="indi://localhost:7624/GPSD",
    )
    mount_master: Literal["astrod", "mount"] = key(
        "astrod", "Who tells the other its place and time; a mount with GPS of its own may be it.", when="restart"
    )
    mount_error_max_s: float = key(
        30.0, "A mount whose clock is off by more does not slew; 0: never mind.", when="restart", ge=0, le=3600
    )
    mount_place_max_deg: float = key(
        0.1, "A mount that believes itself farther away from the site does not slew.", when="restart", gt=0, le=10
    )


class PowerSection(Section):
    """How an outlet is cycled, where a device names its `power`."""

    off_s: float = key(10.0, "It stays off for this long.", when="restart", ge=1, le=600)
    start_s: float = key(20.0, "What hangs on it is up after this long.", when="restart", ge=0, le=600)
    again_s: float = key(900.0, "It is not cycled again within this time.", when="restart", ge=60, le=86400)
