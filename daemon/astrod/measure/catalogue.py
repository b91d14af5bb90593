"""Catalogue stars with magnitudes, offline: Tycho-2 out of astrometry.net's index files, and what an owner imported.

An imported catalogue is a folder of HEALPix tiles (`astropy_healpix` is used here only), each a NumPy table, with a
`catalogue.toml` that says what is in it. A folder of catalogues holds one such folder for each.
"""

import json
import math
import tomllib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from astrod.errors import InputInvalid
from astrod.measure.index import deepest

Floats = NDArray[np.float64]

NSIDE = 32
"""Tiles of 1.8 degrees: a cone of a small field reads one to four."""
CARD = "catalogue.toml"
TILE_PX = 12 * NSIDE * NSIDE
_SAME_ARCSEC = 0.3
_MAS_PER_DEG = 3_600_000.0

_PLACES = (("ra", "dec"), ("ra_icrs", "de_icrs"), ("raj2000", "dej2000"), ("ra_deg", "dec_deg"), ("radeg", "dedeg"))
_MOTIONS = (("pmra", "pmdec"), ("pmra", "pmde"))
_EPOCHS = ("ref_epoch", "epoch")
_BANDS: Mapping[str, tuple[str, ...]] = {
    "G": ("phot_g_mean_mag", "gmag_gaia", "gaia_gmag", "gaia"),
    "BP": ("phot_bp_mean_mag", "bpmag", "bp"),
    "RP": ("phot_rp_mean_mag", "rpmag", "rp"),
    "B": ("bmag", "b", "johnson_b"),
    "V": ("vmag", "v", "johnson_v"),
    "R": ("rcmag",),
    "I": ("icmag",),
    "u": ("umag", "u"),
    "g": ("gmag_ps", "g", "g_mag", "sloan_g"),
    "r": ("rmag", "r", "r_mag", "sloan_r"),
    "i": ("imag", "i", "i_mag", "sloan_i"),
    "z": ("zmag", "z", "z_mag", "sloan_z"),
}


@dataclass(frozen=True, slots=True, eq=False)
class Stars:
    """Catalogue stars, brightest first: ICRS degrees and, by band, magnitudes (NaN where a star has none)."""

    ra_deg: Floats
    dec_deg: Floats
    magnitudes: Mapping[str, NDArray[np.float32]]

    def __len__(self) -> int:
        return int(self.ra_deg.size)


class Catalogue(Protocol):
    """A catalogue at hand."""

    @property
    def name(self) -> str: ...

    @property
    def bands(self) -> tuple[str, ...]: ...

    def near(self, ra_deg: float, dec_deg: float, radius_deg: float, most: int, year: float | None = None) -> Stars:
        """The brightest stars within a radius, their places at that year where their motions are known."""
        ...


@dataclass(frozen=True, slots=True)
class Tycho2:
    """The stars of astrometry.net's Tycho-2 index files: VT magnitudes, no motions, few fainter than 12."""

    folders: tuple[Path, ...]
    name: str = "Tycho-2"
    bands: tuple[str, ...] = ("VT",)

    def near(self, ra_deg: float, dec_deg: float, radius_deg: float, most: int, year: float | None = None) -> Stars:
        """See `Catalogue`. Nothing where there is no index with magnitudes."""
        direction = _vector(np.array([ra_deg]), np.array([dec_deg]))[0]
        indexes = [index for index in deepest(self.folders) if index.has_magnitudes]
        parts = [index.near(direction, radius_deg) for index in indexes]
        if not parts:
            return Stars(np.empty(0), np.empty(0), {"VT": np.empty(0, np.float32)})
        vectors = np.concatenate([part[0] for part in parts])
        magnitude = np.concatenate([part[1] for part in parts])
        order = np.argsort(magnitude, kind="stable")[:most]
        x, y, z = vectors[order].T
        ra, dec = np.degrees(np.arctan2(y, x)) % 360.0, np.degrees(np.arcsin(np.clip(z, -1.0, 1.0)))
        return Stars(ra, dec, {"VT": magnitude[order]})


@dataclass(frozen=True, slots=True)
class Tiles:
    """An imported catalogue. `epoch` is the year of its places."""

    folder: Path
    name: str
    bands: tuple[str, ...]
    epoch: float
    stars: int

    def near(self, ra_deg: float, dec_deg: float, radius_deg: float, most: int, year: float | None = None) -> Stars:
        """See `Catalogue`."""
        rows = [
            tile for number in _cone(ra_deg, dec_deg, radius_deg) if (tile := _tile(self.folder, number)) is not None
        ]
        if not rows:
            return Stars(np.empty(0), np.empty(0), {band: np.empty(0, np.float32) for band in self.bands})
        table = np.concatenate(rows)
        chord = 2.0 * math.sin(math.radians(min(radius_deg, 180.0)) / 2.0)
        direction = _vector(np.array([ra_deg]), np.array([dec_deg]))[0]
        inside = np.sum((_vector(table["ra"], table["dec"]) - direction) ** 2, axis=1) <= chord**2
        table = table[inside]
        bright = _brightness(table, self.bands)
        table = table[np.argsort(bright, kind="stable")[:most]]
        ra, dec = _moved(table, 0.0 if year is None else year - self.epoch)
        return Stars(ra, dec, {band: np.ascontiguousarray(table[band]) for band in self.bands})


def catalogues(folder: Path | None, index_dirs: Sequence[Path]) -> tuple[Catalogue, ...]:
    """All catalogues at hand: those imported into a folder, the largest first, then Tycho-2."""
    imported = [] if folder is None or not folder.is_dir() else [read_card(card) for card in folder.glob(f"*/{CARD}")]
    imported.sort(key=lambda tiles: (-tiles.stars, tiles.name))
    tycho = [Tycho2(tuple(index_dirs))] if any(index.has_magnitudes for index in deepest(tuple(index_dirs))) else []
    return (*imported, *tycho)


def read_card(card: Path) -> Tiles:
    """What a catalogue's card says. Raises InputInvalid where it says too little."""
    try:
        told = tomllib.loads(card.read_text(encoding="utf-8"))
        tiles = Tiles(card.parent, told["name"], tuple(told["bands"]), float(told["epoch"]), int(told["stars"]))
    except (OSError, ValueError, KeyError, TypeError) as fault:
        raise InputInvalid(f"{card}: not a catalogue's card ({fault}); import the catalogue again") from fault
    return tiles


@dataclass(frozen=True, slots=True)
class StarsOf:
    """A catalogue as `match.StarsNear`: places only."""

    catalogue: Catalogue
    year: float | None = None

    def __call__(self, ra_deg: float, dec_deg: float, radius_deg: float, most: int) -> tuple[Floats, Floats]:
        """See `match.StarsNear`."""
        found = self.catalogue.near(ra_deg, dec_deg, radius_deg, most, self.year)
        return found.ra_deg, found.dec_deg


# -- import --------------------------------------------------------------------------------------------------


def import_table(file: Path, folder: Path, name: str | None = None) -> Tiles:
    """Add the stars of a table to the catalogue `name` (default: told by its columns) in a folder of catalogues.

    CSV, ECSV, FITS, VOTable; Parquet where pyarrow is installed. Columns are known by the names that Gaia, VizieR,
    ATLAS-RefCat2 and APASS give them. Stars that are there already (within 0.3") are replaced. Raises InputInvalid.
    """
    columns = _columns(file)
    table, bands, epoch = _rows(file, columns)
    name = name or _named(columns, bands)
    target = folder / "".join(c if c.isalnum() or c in "-_" else "-" for c in name.casefold())
    card = target / CARD
    if card.is_file():
        there = read_card(card)
        if there.bands != bands:
            raise InputInvalid(
                f"{file}: its bands are {', '.join(bands)}, those of {there.name} in {target} are "
                f"{', '.join(there.bands)}; give it another name with --name"
            )
        years = there.epoch - epoch
        table["ra"], table["dec"] = _moved(table, years)
        epoch = there.epoch
    target.mkdir(parents=True, exist_ok=True)
    numbers = _numbers(table["ra"], table["dec"])
    for number in np.unique(numbers):
        _merge(target, int(number), table[numbers == number])
    _tile.cache_clear()
    stars = sum(int(np.load(path, mmap_mode="r").shape[0]) for path in target.glob("tile-*.npy"))
    words = [f"name = {json.dumps(name)}", f"bands = {json.dumps(list(bands))}", f"epoch = {epoch}", f"stars = {stars}"]
    draft = card.with_suffix(".new")
    draft.write_text("\n".join([*words, f"nside = {NSIDE}", ""]), encoding="utf-8")
    draft.replace(card)
    return read_card(card)


def _columns(file: Path) -> dict[str, NDArray[Any]]:
    """A table's columns by name in small letters."""
    from astropy.table import Table

    suffix = file.suffix.casefold().removeprefix(".")
    formats = {
        "csv": "ascii.csv",
        "ecsv": "ascii.ecsv",
        "fits": "fits",
        "fit": "fits",
        "vot": "votable",
        "xml": "votable",
    }
    if suffix == "parquet":
        formats["parquet"] = "parquet"
    if suffix not in formats:
        raise InputInvalid(f"{file}: give a table as .csv, .ecsv, .fits, .vot or .parquet")
    try:
        table = Table.read(file, format=formats[suffix])
    except ImportError as fault:
        raise InputInvalid(f"{file}: reading Parquet needs pyarrow; install it, or export CSV or FITS") from fault
    except FileNotFoundError as fault:
        raise InputInvalid(f"{file}: is not there") from fault
    except Exception as fault:  # each of astropy's readers raises errors of its own
        raise InputInvalid(f"{file}: no table of that kind ({fault})") from fault
    return {str(column).casefold(): _plain(table[column]) for column in table.colnames}


def _plain(column: Any) -> NDArray[Any]:
    """A column's numbers, NaN where masked; text stays as it is."""
    values = np.ma.asarray(column)
    if values.dtype.kind not in "iuf":
        return np.asarray(values.filled() if np.ma.is_masked(values) else values)
    return np.asarray(np.ma.filled(values.astype(np.float64), np.nan))


def _rows(file: Path, columns: Mapping[str, NDArray[Any]]) -> tuple[NDArray[Any], tuple[str, ...], float]:
    """The tiles' rows, the bands, and the epoch of the places."""
    place = next((pair for pair in _PLACES if all(name in columns for name in pair)), None)
    if place is None:
        raise InputInvalid(f"{file}: no columns ra and dec in degrees; it has {', '.join(list(columns)[:12])}")
    bands = {band: _band(band, columns) for band in _BANDS}
    found = tuple(band for band, column in bands.items() if column is not None)
    if not found:
        raise InputInvalid(f"{file}: no magnitudes under a name that is known; it has {', '.join(list(columns)[:12])}")
    motion = next((pair for pair in _MOTIONS if all(name in columns for name in pair)), None)
    epochs = next((columns[name] for name in _EPOCHS if name in columns), None)
    kinds = [("ra", "<f8"), ("dec", "<f8"), ("pmra", "<f4"), ("pmdec", "<f4"), *((band, "<f4") for band in found)]
    table = np.zeros(columns[place[0]].size, dtype=kinds)
    try:
        for name, column in zip(("ra", "dec"), place, strict=True):
            table[name] = columns[column]
        for name, column in zip(("pmra", "pmdec"), motion or (), strict=False):
            table[name] = np.nan_to_num(columns[column].astype(np.float64))
        for band in found:
            table[band] = columns[bands[band] or ""]
    except (ValueError, TypeError) as fault:
        raise InputInvalid(f"{file}: places or magnitudes are no numbers ({fault})") from fault
    magnitudes = np.stack([table[band] for band in found])
    magnitudes[~((magnitudes > -3.0) & (magnitudes < 30.0))] = np.nan  # catalogues write 0, -999 or 99 for none
    for band, values in zip(found, magnitudes, strict=True):
        table[band] = np.where(values == 0.0, np.nan, values)
    good = np.isfinite(table["ra"]) & (np.abs(table["dec"]) <= 90.0) & np.isfinite(magnitudes).any(axis=0)
    if not bool(good.any()):
        raise InputInvalid(f"{file}: not one star with a place and a magnitude")
    epoch = float(np.nanmedian(epochs)) if epochs is not None and epochs.dtype.kind == "f" else _epoch(place[0], found)
    table["ra"] %= 360.0
    return table[good], found, epoch


def _band(band: str, columns: Mapping[str, NDArray[Any]]) -> str | None:
    """The column of a band; VizieR's `Gmag` and `gmag` are one name to us, so Gaia's is known by its company."""
    gaia = any(name in columns for name in ("bpmag", "rpmag", "phot_bp_mean_mag", "bp-rp", "bp_rp"))
    if "gmag" in columns and band == ("G" if gaia else "g"):
        return "gmag"
    return next((name for name in _BANDS[band] if name in columns), None)


def _epoch(place: str, bands: tuple[str, ...]) -> float:
    """When a table does not say: Gaia DR3's places are of 2016.0, VizieR's J2000 of 2000, RefCat2's of 2015.5."""
    if place == "raj2000":
        return 2000.0
    return 2016.0 if "BP" in bands else 2015.5


def _named(columns: Mapping[str, NDArray[Any]], bands: tuple[str, ...]) -> str:
    if "BP" in bands:
        return "Gaia"
    return "RefCat2" if "g" in bands and "V" not in bands else "APASS" if "V" in bands and "g" in bands else "imported"


def _merge(target: Path, number: int, rows: NDArray[Any]) -> None:
    """Put rows into a tile; what is there of the same stars goes."""
    path = target / f"tile-{number:05d}.npy"
    if path.is_file():
        there = np.load(path)
        new = cKDTree(_vector(rows["ra"], rows["dec"]))
        away, _ = new.query(_vector(there["ra"], there["dec"]))
        rows = np.concatenate([there[away > math.radians(_SAME_ARCSEC / 3600.0)], rows])
    draft = path.with_suffix(".new.npy")
    np.save(draft, rows)
    draft.replace(path)


# -- places --------------------------------------------------------------------------------------------------


def _numbers(ra_deg: Floats, dec_deg: Floats) -> NDArray[np.int64]:
    import astropy_healpix.core as healpix

    return np.asarray(healpix.lonlat_to_healpix(_angle(ra_deg), _angle(dec_deg), NSIDE, order="nested"), np.int64)


def _cone(ra_deg: float, dec_deg: float, radius_deg: float) -> Iterable[int]:
    """The tiles that a cone touches, in order."""
    import astropy_healpix.core as healpix

    if radius_deg > 80.0:
        return range(TILE_PX)
    touched = healpix.healpix_cone_search(_angle(ra_deg), _angle(dec_deg), _angle(radius_deg), NSIDE, order="nested")
    return sorted(int(number) for number in touched)


def _angle(degrees: Any) -> Any:
    from astropy import units

    return degrees * units.deg


@lru_cache(maxsize=64)
def _tile(folder: Path, number: int) -> NDArray[Any] | None:
    path = folder / f"tile-{number:05d}.npy"
    try:
        rows: NDArray[Any] = np.load(path)
    except FileNotFoundError:
        return None
    except (OSError, ValueError, EOFError) as fault:
        raise InputInvalid(f"{path}: damaged ({fault}); import the catalogue again") from fault
    return rows


def _vector(ra_deg: Floats, dec_deg: Floats) -> Floats:
    ra, dec = np.radians(ra_deg), np.radians(dec_deg)
    return np.stack([np.cos(dec) * np.cos(ra), np.cos(dec) * np.sin(ra), np.sin(dec)], axis=1)


def _moved(table: NDArray[Any], years: float) -> tuple[Floats, Floats]:
    """Places after so many years of proper motion (mas/yr, pmra with cos dec in it)."""
    ra, dec = table["ra"].astype(np.float64), table["dec"].astype(np.float64)
    if years == 0.0:
        return ra, dec
    across = years * table["pmra"] / _MAS_PER_DEG / np.maximum(np.cos(np.radians(dec)), 1e-6)
    return (ra + across) % 360.0, np.clip(dec + years * table["pmdec"] / _MAS_PER_DEG, -90.0, 90.0)


def _brightness(table: NDArray[Any], bands: tuple[str, ...]) -> NDArray[np.float32]:
    """Something to sort by: the first band that a star has."""
    bright = np.full(table.shape, np.nan, np.float32)
    for band in bands:
        bright = np.where(np.isfinite(bright), bright, table[band])
    return bright
