"""Names to places."""

import pytest

from astrod.errors import InputInvalid
from astrod.planning.catalogue import resolve


@pytest.mark.parametrize(
    "name", ["M31", "m 31", " M  31 ", "NGC0224", "ngc 224", "Andromeda Galaxy", "andromeda galaxy"]
)
def test_one_galaxy_by_many_names(name: str) -> None:
    entry = resolve(name)
    assert (entry.name, entry.kind) == ("NGC0224", "Galaxy")
    assert (entry.ra_deg, entry.dec_deg) == pytest.approx((10.6848, 41.2691), abs=1e-3)
    assert entry.magnitude == pytest.approx(3.44)


@pytest.mark.parametrize(
    ("name", "ra_deg", "dec_deg"),
    [
        ("Vega", 279.2347, 38.7837),
        ("sirius", 101.2872, -16.7161),
        ("BARNARD'S STAR", 269.4521, 4.6934),
        ("Barnards Star", 269.4521, 4.6934),
        ("Mel 22", 56.8692, 24.1053),
        ("m45", 56.8692, 24.1053),
        ("IC 434", 85.2537, -2.4538),
        ("horsehead nebula", 85.2458, -2.4583),
        ("The Running Man Nebula", 83.8158, -4.8443),
        ("C 34", 311.4924, 30.5951),
    ],
)
def test_stars_clusters_and_nebulae(name: str, ra_deg: float, dec_deg: float) -> None:
    entry = resolve(name)
    assert (entry.ra_deg, entry.dec_deg) == pytest.approx((ra_deg, dec_deg), abs=1e-3)


def test_every_messier_object_has_a_place() -> None:
    for number in range(1, 111):
        entry = resolve(f"M{number}")
        assert 0.0 <= entry.ra_deg < 360.0
        assert -90.0 <= entry.dec_deg <= 90.0


@pytest.mark.parametrize(
    ("name", "nearest"), [("Crab Nebla", "Crab Nebula"), ("Vegga", "Vega"), ("Betelgeuze", "Betelgeuse")]
)
def test_an_unknown_name_is_told_the_nearest(name: str, nearest: str) -> None:
    with pytest.raises(InputInvalid, match=nearest):
        resolve(name)


@pytest.mark.parametrize("name", ["", "   ", "NGC 99999", "xyzzy", "M 0", 'M31" OR 1=1 --'])
def test_nonsense_is_refused_with_a_way_out(name: str) -> None:
    with pytest.raises(InputInvalid, match="give ra_deg and dec_deg"):
        resolve(name)


def test_a_lost_object_is_unknown() -> None:
    with pytest.raises(InputInvalid):
        resolve("IC 1064")  # OpenNGC keeps its name without a place
