"""Runs the package alpaca-simulators with stars from our catalogue: its camera asks an online one, which is not there.

    .venv-alpaca/bin/python tests/contract/alpaca_simulators_offline.py PORT [--no-stars]

Changed besides: the telescope is a small one of 900 mm, and no image is kept to be sent a second time, which our gate
rightly takes for a camera that repeats itself. `--no-stars` leaves the query as it is, for the test of what an owner
without a network would meet.
"""

import sys

import cabaret.image
import numpy as np
import uvicorn
from alpaca_simulators.api import camera
from alpaca_simulators.config import Config
from astropy.coordinates import SkyCoord
from cabaret.queries import Filters, GaiaQuery
from cabaret.sources import Sources

from astrod_drivers.sim.catalogue import stars_in_cone


def _degrees(angle):
    return float(getattr(angle, "deg", angle))


def sources(center, radius, filter_band=Filters.G, limit=100_000, **_):
    """What `GaiaQuery.get_sources` answers: the stars around a place, in photons per second and square metre."""
    place = SkyCoord(*center, unit="deg") if isinstance(center, tuple) else center
    stars = stars_in_cone(place.ra.deg, place.dec.deg, _degrees(radius), 15.0)
    brightest = np.argsort(stars.mag)[:limit]
    photons = GaiaQuery._mag_to_photons(np.asarray(stars.mag, float)[brightest], filter_band)
    coords = SkyCoord(np.asarray(stars.ra_deg)[brightest], np.asarray(stars.dec_deg)[brightest], unit="deg")
    return Sources(coords, np.asarray(photons))


def main():
    if "--no-stars" not in sys.argv:
        cabaret.image.GaiaQuery.get_sources = staticmethod(sources)
    camera._cache_image = lambda key, image: None
    Config().load()["gaia_query_timeout"] = 2
    Config().load()["devices"]["telescope"][0] |= {"focallength": 0.9, "aperturediameter": 0.12}
    # its own default is every interface
    uvicorn.run("alpaca_simulators.main:app", host="127.0.0.1", port=int(sys.argv[1]), log_level="warning")


if __name__ == "__main__":
    main()
