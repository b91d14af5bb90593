"""Whether a mount stands where and when we do: what it believes against what is so, in words that name the mistake."""

from dataclasses import dataclass

from astrod.domain.instant import HOUR_US, SECOND_US
from astrod.domain.site import Place, TimeSetup

HOUR_SLACK_US = 90 * SECOND_US
"""This near to whole hours a difference is a time zone or summer time, and not a clock that runs wrong."""


@dataclass(frozen=True, slots=True)
class Belief:
    """Where and when a mount believes it is; WGS84 degrees, east and north positive. None where it does not say."""

    latitude_deg: float | None = None
    longitude_deg: float | None = None
    utc_us: int | None = None


def differences(place: Place, utc_us: int, belief: Belief, setup: TimeSetup) -> tuple[str, ...]:
    """What a mount believes that cannot be; empty where it says nothing, or what is near enough."""
    found = (_of_latitude(place, belief, setup), _of_longitude(place, belief, setup), _of_time(utc_us, belief, setup))
    return tuple(text for text in found if text)


def _of_latitude(place: Place, belief: Belief, setup: TimeSetup) -> str | None:
    at_deg = belief.latitude_deg
    if at_deg is None or abs(at_deg - place.latitude_deg) <= setup.mount_place_max_deg:
        return None
    text = f"it believes itself at latitude {at_deg:.3f}, the site is at {place.latitude_deg:.3f}"
    return text + _wrong_sign(at_deg, place.latitude_deg, setup, "north")


def _of_longitude(place: Place, belief: Belief, setup: TimeSetup) -> str | None:
    at_deg = belief.longitude_deg
    if at_deg is None:
        return None
    off_deg = abs((at_deg - place.longitude_deg + 180.0) % 360.0 - 180.0)
    if off_deg <= setup.mount_place_max_deg:
        return None
    text = f"it believes itself at longitude {at_deg:.3f}, the site is at {place.longitude_deg:.3f}"
    return text + _wrong_sign(at_deg, place.longitude_deg, setup, "east")


def _wrong_sign(believed_deg: float, site_deg: float, setup: TimeSetup, positive: str) -> str:
    mirrored = abs((believed_deg + site_deg + 180.0) % 360.0 - 180.0) <= setup.mount_place_max_deg
    return f": the sign is wrong, {positive} is positive" if mirrored else ""


def _of_time(utc_us: int, belief: Belief, setup: TimeSetup) -> str | None:
    if belief.utc_us is None or setup.mount_error_max_s == 0.0:
        return None
    ahead_us = belief.utc_us - utc_us
    if abs(ahead_us) <= setup.mount_error_max_s * SECOND_US:
        return None
    text = f"its clock is {abs(ahead_us) / SECOND_US:.0f} s {'ahead of' if ahead_us > 0 else 'behind'} ours"
    hours = round(ahead_us / HOUR_US)
    if hours and abs(ahead_us - hours * HOUR_US) <= HOUR_SLACK_US:
        zone = "summer time, or a time zone" if abs(hours) == 1 else "a time zone"
        text += f": {abs(hours)} h is {zone} taken for UTC"
    return text
