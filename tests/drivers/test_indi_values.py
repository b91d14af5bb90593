"""What INDI's values mean, where the simulators do not show every case."""

import pytest

from astrod_drivers.indi import SERVED
from astrod_drivers.protocols import Aperture, Shot

pytest.importorskip("PyIndi", reason="pyindi-client is not installed (pip install astrod[indi])")

from astrod_drivers.indi.camera import Exposure, _bayer
from astrod_drivers.indi.devices import DRIVERS
from astrod_drivers.indi.link import State, Vector
from astrod_drivers.indi.mount import _parked, _pier_side
from astrod_drivers.indi.roof import SHUTTER, _aperture
from astrod_drivers.indi.weather import _values, _zones


@pytest.mark.parametrize(
    ("x", "y", "pattern"),
    [("0", "0", "RGGB"), ("1", "0", "GRBG"), ("0", "1", "GBRG"), ("1", "1", "BGGR"), ("", "2", "RGGB")],
)
def test_bayer_pattern_moves_with_its_offset(x: str, y: str, pattern: str) -> None:
    cfa = Vector("CCD_CFA", "Ok", {"CFA_OFFSET_X": x, "CFA_OFFSET_Y": y, "CFA_TYPE": "RGGB"})
    assert _bayer(cfa) == pattern


def test_mono_has_no_pattern() -> None:
    assert _bayer(None) is None
    assert _bayer(Vector("CCD_CFA", "Idle", {"CFA_TYPE": ""})) is None


@pytest.mark.parametrize(
    ("label", "m_s"),
    [
        ("Wind (kph)", 10.0),
        ("Wind", 10.0),
        ("Wind (m/s)", 36.0),
        ("Wind (mph)", 16.093),
        ("Gust (knots)", 18.52),
    ],
)
def test_speed_follows_the_label(label: str, m_s: float) -> None:
    vector = Vector("W", "Ok", {"WEATHER_WIND_SPEED": 36.0}, labels={"WEATHER_WIND_SPEED": label})
    assert _values(vector)["wind_m_s"] == pytest.approx(m_s, rel=1e-3)


def test_a_value_that_is_no_number_is_not_measured() -> None:
    values = {"WEATHER_TEMPERATURE": float("nan"), "WEATHER_HUMIDITY": 55.0}
    vector = Vector("W", "Ok", values, labels=dict.fromkeys(values, ""))
    assert _values(vector) == {"humidity_percent": 55.0}


def test_a_dark_light_is_unknown() -> None:
    status = Vector("WEATHER_STATUS", "Ok", {"WEATHER_WIND_SPEED": "Busy", "WEATHER_FORECAST": "Idle"})
    assert _zones(status) == {"wind_m_s": "warning", "weather_forecast": "unknown"}


@pytest.mark.parametrize(
    ("state", "opened", "closed", "aperture"),
    [
        ("Ok", True, False, "open"),
        ("Idle", False, True, "closed"),
        ("Busy", True, False, "opening"),
        ("Busy", False, True, "closing"),
        ("Alert", False, True, "unknown"),
        ("Ok", False, False, "unknown"),
        ("Ok", True, True, "unknown"),
    ],
)
def test_only_a_shutter_that_says_so_is_closed(state: State, opened: bool, closed: bool, aperture: Aperture) -> None:
    name, opens, closes = SHUTTER
    assert _aperture(Vector(name, state, {opens: opened, closes: closed}), opens, closes) == aperture


def test_parking_is_not_parked() -> None:
    assert _parked(Vector("TELESCOPE_PARK", "Ok", {"PARK": True}))
    for state, on in (("Busy", True), ("Alert", True), ("Ok", False)):
        assert not _parked(Vector("TELESCOPE_PARK", state, {"PARK": on}))  # type: ignore[arg-type]
    assert not _parked(None)


def test_a_mount_may_have_no_pier_side() -> None:
    assert _pier_side(None) is None
    assert _pier_side(Vector("P", "Ok", {"PIER_WEST": False, "PIER_EAST": False})) is None
    assert _pier_side(Vector("P", "Ok", {"PIER_WEST": True, "PIER_EAST": False})) == "west"


async def test_a_blob_before_its_time_is_of_an_earlier_exposure() -> None:
    import asyncio

    exposure = Exposure(Shot("e", 10.0), 100.0, asyncio.get_running_loop().create_future())
    assert exposure.too_early(105.0)
    assert not exposure.too_early(109.9)
    assert not exposure.overdue(115.0)
    assert exposure.overdue(121.0)


def test_what_is_served_is_what_is_driven() -> None:
    assert tuple(DRIVERS) == SERVED
