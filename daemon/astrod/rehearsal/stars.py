"""The simulated sky as a catalogue, for solving frames of the simulated observatory."""

from typing import Any

FIRST_MAG = 8.0


def simulated_stars(ra_deg: float, dec_deg: float, radius_deg: float, most: int) -> tuple[Any, Any]:
    """The brightest stars of the simulated sky about a place; see `measure.match.StarsNear`.

    The simulator is imported here, so that the control process, which only names this function, stays small.
    """
    import numpy as np

    from astrod_drivers.sim.catalogue import FAINTEST_MAG, stars_in_cone

    faintest = FIRST_MAG
    found = stars_in_cone(ra_deg, dec_deg, radius_deg, faintest)
    while len(found) < most and faintest < FAINTEST_MAG:
        faintest += 1.0
        found = stars_in_cone(ra_deg, dec_deg, radius_deg, faintest)
    order = np.argsort(found.mag, kind="stable")[:most]
    return found.ra_deg[order], found.dec_deg[order]
