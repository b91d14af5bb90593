"""What a mount may believe of its place and time."""

import pytest

from astrod.domain.instant import HOUR_US, SECOND_US
from astrod.domain.site import Place, TimeSetup
from astrod.domain.standing import Belief, differences

PLACE = Place(41.72, -3.5, 760.0)
SETUP = TimeSetup(mount_error_max_s=30.0, mount_place_max_deg=0.1)
NOW_US = 1_797_292_800 * SECOND_US


@pytest.mark.parametrize(
    "belief",
    [
        Belief(),
        Belief(41.72, -3.5, NOW_US),
        Belief(41.81, -3.41, NOW_US + 30 * SECOND_US),
        Belief(41.72, 356.5, NOW_US - 30 * SECOND_US),
    ],
    ids=["says nothing", "right", "near enough", "longitudes up to 360"],
)
def test_what_is_near_enough_or_not_said_is_no_difference(belief: Belief) -> None:
    assert differences(PLACE, NOW_US, belief, SETUP) == ()


@pytest.mark.parametrize(
    ("belief", "said"),
    [
        (Belief(longitude_deg=3.5), "sign is wrong, east is positive"),
        (Belief(latitude_deg=-41.72), "sign is wrong, north is positive"),
        (Belief(latitude_deg=51.5), "latitude 51.500, the site is at 41.720"),
        (Belief(longitude_deg=-3.7), "longitude -3.700"),
        (Belief(utc_us=NOW_US + HOUR_US), "1 h is summer time, or a time zone"),
        (Belief(utc_us=NOW_US - 2 * HOUR_US + 40 * SECOND_US), "2 h is a time zone taken for UTC"),
        (Belief(utc_us=NOW_US + 31 * SECOND_US), "31 s ahead of ours"),
        (Belief(utc_us=NOW_US - 1800 * SECOND_US), "1800 s behind ours"),
    ],
)
def test_a_difference_names_the_mistake(belief: Belief, said: str) -> None:
    (text,) = differences(PLACE, NOW_US, belief, SETUP)
    assert said in text


def test_half_an_hour_is_no_time_zone() -> None:
    (text,) = differences(PLACE, NOW_US, Belief(utc_us=NOW_US + HOUR_US // 2), SETUP)
    assert "zone" not in text


def test_all_that_is_wrong_is_said() -> None:
    assert len(differences(PLACE, NOW_US, Belief(-41.72, 3.5, NOW_US + HOUR_US), SETUP)) == 3


def test_a_clock_that_nobody_minds_may_be_anything() -> None:
    careless = TimeSetup(mount_error_max_s=0.0, mount_place_max_deg=0.1)
    assert differences(PLACE, NOW_US, Belief(41.72, -3.5, NOW_US + 40 * HOUR_US), careless) == ()
    assert differences(PLACE, NOW_US, Belief(-41.72, -3.5, NOW_US), careless)
