"""Places and targets that the tests observe."""

from astrod.domain.identity import Night
from astrod.domain.site import Darkness, Place
from astrod.domain.target import Request, Target
from astrod.planning.catalogue import resolve
from astrod.planning.problem import Problem, RigState
from astrod.planning.sky import night_window

PUJALT = Place(41.7, 1.4, 760.0)
LA_PALMA = Place(28.76, -17.88, 2396.0)
CERRO_TOLOLO = Place(-30.17, -70.81, 2207.0)
SIDING_SPRING = Place(-31.27, 149.06, 1165.0)
HELSINKI = Place(60.17, 24.94, 20.0)
TROMSO = Place(69.65, 18.96, 20.0)
ALERT = Place(82.5, -62.3, 30.0)

SHOW = [
    "M31",
    "M33",
    "M42",
    "M1",
    "M45",
    "NGC891",
    "NGC2244",
    "IC434",
    "M81",
    "M101",
    "M51",
    "NGC7000",
    "NGC4565",
    "M13",
    "NGC281",
    "NGC253",
    "NGC104",
    "NGC3372",
    "NGC5139",
    "NGC2070",
    "M8",
    "M20",
    "M16",
    "M83",
    "M104",
    "NGC4038",
    "NGC1365",
    "NGC6744",
    "NGC55",
    "NGC2467",
]


def target(name: str, exposure_s: float = 120.0, count: int = 40, filters: str = "LR", **limits: float) -> Target:
    """A target of the catalogue, wanted `count` times through each filter."""
    entry = resolve(name)
    requests = tuple(Request(f"{name}/{at}", name, exposure_s, count, letter) for at, letter in enumerate(filters, 1))
    return Target(name, entry.ra_deg, entry.dec_deg, requests, **limits)


def night_problem(
    place: Place, night: str, targets: tuple[Target, ...], rigs: tuple[RigState, ...] = (RigState("east"),)
) -> Problem:
    """A whole night, planned at dusk."""
    window = night_window(place, Night.parse(night), Darkness())
    if window.dusk_us is None or window.dawn_us is None:
        raise ValueError(f"{night} never gets dark at {place}")
    return Problem(
        place=place,
        rigs=rigs,
        targets=targets,
        now_us=window.dusk_us,
        dusk_us=window.dusk_us,
        end_us=window.dawn_us,
    )
