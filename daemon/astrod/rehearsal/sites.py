"""Real places to rehearse at, spread so that at every minute of the year it is dark at one of them."""

from dataclasses import dataclass

from astrod.domain.site import Place
from astrod.domain.sphere import sun_altitude_deg
from astrod.errors import InputInvalid


@dataclass(frozen=True, slots=True)
class KnownSite:
    """A place with its name for people; `seeing_arcsec` is about what is usual there."""

    name: str
    title: str
    place: Place
    seeing_arcsec: float


SITES: tuple[KnownSite, ...] = (
    KnownSite("pujalt", "Pujalt, Catalonia", Place(41.72, 1.42, 760.0), 2.2),
    KnownSite("lapalma", "Roque de los Muchachos, La Palma", Place(28.7606, -17.8816, 2396.0), 0.9),
    KnownSite("ctio", "Cerro Tololo, Chile", Place(-30.1691, -70.8062, 2207.0), 0.9),
    KnownSite("sso", "Siding Spring, Australia", Place(-31.2733, 149.0644, 1165.0), 1.6),
    KnownSite("maunakea", "Mauna Kea, Hawaii", Place(19.8260, -155.4747, 4207.0), 0.8),
    KnownSite("saao", "Sutherland, South Africa", Place(-32.3760, 20.8107, 1798.0), 1.3),
    KnownSite("mcdonald", "McDonald Observatory, Texas", Place(30.6715, -104.0217, 2070.0), 1.3),
    KnownSite("hanle", "Hanle, Ladakh", Place(32.7794, 78.9642, 4500.0), 1.1),
    KnownSite("okayama", "Okayama, Japan", Place(34.5761, 133.5941, 360.0), 1.6),
    KnownSite("perth", "Perth Observatory, Australia", Place(-32.0080, 116.1350, 386.0), 2.0),
    KnownSite("mtjohn", "Mount John, New Zealand", Place(-43.9866, 170.4650, 1029.0), 1.7),
    KnownSite("reunion", "Les Makes, Réunion", Place(-21.1989, 55.4100, 990.0), 1.6),
)
"""In the order in which they are preferred."""

DARK_DEG = -12.0


def known(name: str) -> KnownSite:
    """The site of that name. Raises InputInvalid, which lists them."""
    for site in SITES:
        if site.name == name:
            return site
    raise InputInvalid(f"no site {name!r} is known; there are {', '.join(site.name for site in SITES)}")


def darkest(instant_us: int, dark_minutes: float = 20.0) -> KnownSite:
    """A site where it is dark now and stays so for a while; the one with the lowest Sun if that is none."""
    ahead_us = round(dark_minutes * 60e6)

    def highest_sun_deg(site: KnownSite) -> float:
        place = site.place
        return max(sun_altitude_deg(instant_us + at, place.latitude_deg, place.longitude_deg) for at in (0, ahead_us))

    for site in SITES:
        if highest_sun_deg(site) < DARK_DEG:
            return site
    return min(SITES, key=highest_sun_deg)
