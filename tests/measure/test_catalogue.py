"""Catalogues on the machine: what an owner imports comes back, near a place, at an epoch, once."""

from pathlib import Path

import numpy as np
import pytest
from astropy.table import Table
from hypothesis import given, settings
from hypothesis import strategies as st

from astrod.errors import InputInvalid
from astrod.measure.catalogue import Catalogue, Tiles, Tycho2, catalogues, import_table
from astrod.measure.index import index_files

INDEX = Path("/usr/share/astrometry")


def gaia(path: Path, ra: np.ndarray, dec: np.ndarray, **more: np.ndarray) -> Path:
    dice = np.random.default_rng(1)
    table = Table(
        {
            "source_id": np.arange(ra.size),
            "ra": ra,
            "dec": dec,
            "ref_epoch": np.full(ra.size, 2016.0),
            "pmra": np.zeros(ra.size),
            "pmdec": np.zeros(ra.size),
            "phot_g_mean_mag": dice.uniform(8.0, 18.0, ra.size),
            "phot_bp_mean_mag": dice.uniform(8.0, 18.0, ra.size),
            "phot_rp_mean_mag": dice.uniform(8.0, 18.0, ra.size),
        }
        | more
    )
    table.write(path)
    return path


@given(ra=st.floats(0.0, 360.0), dec=st.floats(-90.0, 90.0), radius=st.floats(0.05, 3.0))
@settings(max_examples=15, deadline=None)
def test_a_cone_gives_exactly_its_stars(
    tmp_path_factory: pytest.TempPathFactory, ra: float, dec: float, radius: float
) -> None:
    folder = tmp_path_factory.mktemp("cone")
    dice = np.random.default_rng(3)
    around = dice.uniform(0.0, 2.0 * np.pi, 400)
    off = radius * 1.6 * np.sqrt(dice.random(400))
    decs = np.clip(dec + off * np.cos(around), -90.0, 90.0)
    ras = (ra + off * np.sin(around) / np.maximum(np.cos(np.radians(decs)), 1e-3)) % 360.0
    tiles = import_table(gaia(folder / "cone.fits", ras, decs), folder / "catalogue")
    found = tiles.near(ra, dec, radius, 1000)
    away = separations(ra, dec, ras, decs)
    assert len(found) == np.count_nonzero(away <= radius)
    assert list(found.magnitudes["G"]) == sorted(found.magnitudes["G"])


def separations(ra: float, dec: float, ras: np.ndarray, decs: np.ndarray) -> np.ndarray:
    a, b = np.radians(ras - ra), np.radians(decs)
    d = np.radians(dec)
    across = np.hypot(np.cos(b) * np.sin(a), np.cos(d) * np.sin(b) - np.sin(d) * np.cos(b) * np.cos(a))
    return np.degrees(np.arctan2(across, np.sin(d) * np.sin(b) + np.cos(d) * np.cos(b) * np.cos(a)))


def test_stars_imported_twice_are_there_once_and_move(tmp_path: Path) -> None:
    ra, dec = np.array([10.0, 10.1, 10.2]), np.array([40.0, 40.1, 40.2])
    moving = gaia(tmp_path / "a.csv", ra, dec, pmdec=np.array([1000.0, 0.0, 0.0]))
    import_table(moving, tmp_path)
    tiles = import_table(gaia(tmp_path / "b.csv", ra[1:], dec[1:]), tmp_path)
    assert tiles.stars == 3
    later = tiles.near(10.1, 40.1, 1.0, 10, year=2026.0)
    assert later.dec_deg.min() == pytest.approx(40.0 + 10.0 / 3600.0, abs=1e-6)


@pytest.mark.parametrize(
    ("columns", "name", "bands"),
    [
        ({"RA_ICRS": 1.0, "DE_ICRS": 2.0, "Gmag": 12.0, "BPmag": 12.3, "RPmag": 11.5}, "Gaia", ("G", "BP", "RP")),
        ({"RA": 1.0, "Dec": 2.0, "g": 12.0, "r": 11.8, "i": 11.7, "z": 11.6}, "RefCat2", ("g", "r", "i", "z")),
        ({"RAJ2000": 1.0, "DEJ2000": 2.0, "Vmag": 12.0, "Bmag": 12.9, "gmag": 12.4}, "APASS", ("B", "V", "g")),
    ],
)
def test_columns_are_known_by_the_names_that_archives_give(
    tmp_path: Path, columns: dict[str, float], name: str, bands: tuple[str, ...]
) -> None:
    table = Table({key: np.array([value, value + 0.5]) for key, value in columns.items()})
    table.write(tmp_path / "table.csv")
    tiles = import_table(tmp_path / "table.csv", tmp_path / "there")
    assert (tiles.name, tiles.bands) == (name, bands)
    assert len(tiles.near(1.0, 2.0, 0.1, 10)) == 1


@pytest.mark.parametrize(
    ("name", "text", "says"),
    [
        ("a.csv", "ra,mag\n1,2\n", "no columns ra and dec"),
        ("b.csv", "ra,dec,size\n1,2,3\n", "no magnitudes"),
        ("c.csv", "ra,dec,Vmag\nhere,there,3\n", "are no numbers"),
        ("d.csv", "ra,dec,Vmag\n1,2,-999\n", "not one star"),
        ("e.fits", "nothing of the kind", "no table of that kind"),
        ("f.parquet", "PAR1", "pyarrow"),
        ("g.txt", "1 2 3", "give a table as"),
    ],
)
def test_a_table_that_is_none_is_refused_with_the_reason(tmp_path: Path, name: str, text: str, says: str) -> None:
    (tmp_path / name).write_text(text)
    with pytest.raises(InputInvalid, match=says):
        import_table(tmp_path / name, tmp_path / "there")
    assert not (tmp_path / "there").exists()


def test_another_catalogue_does_not_mix_with_one(tmp_path: Path) -> None:
    import_table(gaia(tmp_path / "a.csv", np.array([1.0]), np.array([2.0])), tmp_path, "mine")
    (tmp_path / "b.csv").write_text("ra,dec,Vmag\n1,2,11\n")
    with pytest.raises(InputInvalid, match="--name"):
        import_table(tmp_path / "b.csv", tmp_path, "mine")
    assert [c.name for c in catalogues(tmp_path, ())] == ["mine"]


@pytest.mark.skipif(not index_files([INDEX]), reason="Debian's astrometry-data-tycho2 is not installed")
def test_tycho_2_has_magnitudes() -> None:
    stars: Catalogue = Tycho2((INDEX,))
    found = stars.near(279.23, 38.78, 1.0, 50)
    assert len(found) > 20
    assert 4.0 < found.magnitudes["VT"][0] < 12.0
    assert isinstance(catalogues(None, (INDEX,))[0], Tycho2)
    assert not isinstance(stars, Tiles)
