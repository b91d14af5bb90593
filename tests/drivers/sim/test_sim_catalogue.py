"""The simulated sky: every star at its place, in every cone that holds it."""

import time
from functools import cache

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from astrod_drivers.sim import catalogue
from astrod_drivers.sim.catalogue import BRIGHT_GRID, DRAWN_GRID, galaxies_in_cone, stars_in_cone

KNOWN = {  # name: ICRS degrees, V; Hipparcos
    "Vega": (279.2347, 38.7837, 0.03),
    "Sirius": (101.2872, -16.7161, -1.46),
    "Deneb": (310.3580, 45.2803, 1.25),
    "Regulus": (152.0930, 11.9672, 1.40),
}
TOGETHER = pytest.mark.xdist_group("catalogue")
"""One worker unpacks the whole sky: that takes seconds."""


@cache
def all_stars() -> catalogue.Stars:
    """Every star that is kept, of the whole sky."""
    return stars_in_cone(0.0, 0.0, 180.0, catalogue.FAINT_END_MAG)


@pytest.mark.parametrize("name", list(KNOWN))
def test_bright_stars_are_where_they_are(name: str) -> None:
    ra_deg, dec_deg, mag = KNOWN[name]
    found = stars_in_cone(ra_deg, dec_deg, 3.0 / 3600.0, 9.0)
    assert len(found) >= 1
    assert found.mag.min() == pytest.approx(mag, abs=0.15)


@TOGETHER
def test_the_whole_bright_sky_is_there() -> None:
    assert len(all_stars()) == 186_042
    assert (all_stars().mag < 6.0).sum() == pytest.approx(4305, abs=40)


@TOGETHER
@given(
    ra_deg=st.floats(0.0, 360.0, exclude_max=True),
    dec_deg=st.one_of(st.floats(-90.0, 90.0), st.sampled_from([-90.0, -89.99, 0.0, 89.99, 90.0])),
    radius_deg=st.floats(0.05, 4.0),
)
@settings(max_examples=80, deadline=None)
def test_a_cone_holds_exactly_the_stars_within_it(ra_deg: float, dec_deg: float, radius_deg: float) -> None:
    distance = catalogue.separation_deg(all_stars().ra_deg, all_stars().dec_deg, ra_deg, dec_deg)
    found = stars_in_cone(ra_deg, dec_deg, radius_deg, catalogue.FAINT_END_MAG)
    assert len(found) == (distance <= radius_deg).sum()


@given(ra_deg=st.floats(0.0, 360.0, exclude_max=True), dec_deg=st.floats(-89.0, 89.0))
@settings(max_examples=25, deadline=None)
def test_a_faint_star_is_the_same_in_two_cones(ra_deg: float, dec_deg: float) -> None:
    wide = stars_in_cone(ra_deg, dec_deg, 0.4, 15.0)
    aside = stars_in_cone((ra_deg + 0.1) % 360.0, dec_deg + 0.1, 0.15, 15.0)
    inside = catalogue.separation_deg(wide.ra_deg, wide.dec_deg, (ra_deg + 0.1) % 360.0, dec_deg + 0.1) <= 0.15
    assert rows(wide.where(inside)) == rows(aside)


def rows(stars: catalogue.Stars) -> list[tuple[float, ...]]:
    return sorted(zip(stars.ra_deg, stars.dec_deg, stars.mag, stars.colour, strict=True))


def test_numbers_follow_the_galaxy() -> None:
    pole = stars_in_cone(192.86, 27.13, 2.0, 16.0)
    plane = stars_in_cone(290.0, 16.0, 2.0, 16.0)
    per_deg2 = len(pole) / (np.pi * 4.0)
    assert 120 < per_deg2 < 400  # about 200 at the pole to V 16 (Bahcall & Soneira 1980, table 1)
    assert len(plane) > 8 * len(pole)
    assert galactic_of_centre() < 0.1
    assert len(galaxies_in_cone(192.86, 27.13, 2.0)) > 20 * len(galaxies_in_cone(266.4, -29.0, 2.0))


def galactic_of_centre() -> float:
    longitude, latitude = catalogue.galactic_deg(266.405, -28.936)
    return abs((longitude + 180.0) % 360.0 - 180.0) + abs(latitude)


def test_cells_tile_the_sphere() -> None:
    for grid in (BRIGHT_GRID, DRAWN_GRID):
        assert sum(grid.area_deg2(cell) for cell in range(0, grid.cells, 1)) == pytest.approx(41252.96, rel=1e-6)


def test_a_cone_takes_milliseconds() -> None:
    stars_in_cone(192.9, 27.1, 0.5)
    start = time.process_time()
    for _ in range(20):
        stars_in_cone(192.9, 27.1, 0.5)
    assert (time.process_time() - start) / 20 < 0.01
