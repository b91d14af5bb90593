"""Stars and reach of astrometry.net's index files (`index-*.fits`), as Debian's packages install them.

An index holds the brightest stars of each patch of the sky, as a kd-tree of unit vectors, and star patterns
("quads") of one range of sizes. The stars serve our own matching; what sizes there are says whether a field
can be solved blind. Layout: http://astrometry.net/doc/, and the headers of the files themselves.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True, eq=False)
class Index:
    """One file. Quads measure from `low_deg` to `high_deg`; `corner` and `step` turn stored integers into vectors.

    `rank` orders the stars by brightness, the brightest lowest: a magnitude where the file has one, else the
    file's own sweep (how many brighter stars its patch has); `has_magnitudes` says which.
    """

    path: Path
    low_deg: float
    high_deg: float
    vectors: NDArray[np.uint32]
    rank: NDArray[np.float32]
    corner: Floats
    step: float
    has_magnitudes: bool = False

    def near(self, direction: Floats, radius_deg: float) -> tuple[Floats, NDArray[np.float32]]:
        """Unit vectors and ranks of the stars within a radius of a direction."""
        chord = 2.0 * math.sin(math.radians(min(radius_deg, 180.0)) / 2.0)
        low = np.clip((direction - chord - self.corner) / self.step, 0, 2**32 - 1).astype(np.uint32)
        high = np.clip((direction + chord - self.corner) / self.step, 0, 2**32 - 1).astype(np.uint32)
        inside = np.arange(len(self.vectors))
        for axis in range(3):  # each axis thins out what the next one looks at
            column = self.vectors[inside, axis]
            inside = inside[(column >= low[axis]) & (column <= high[axis])]
        found = self.vectors[inside] * self.step + self.corner
        close = np.sum((found - direction) ** 2, axis=1) <= chord**2
        return found[close], self.rank[inside[close]]


def index_files(folders: Sequence[Path]) -> tuple[Path, ...]:
    """The index files in these folders, in order; folders that are not there count for nothing."""
    return tuple(sorted(path for folder in folders if folder.is_dir() for path in folder.glob("index-*.fits")))


@lru_cache(maxsize=1024)
def read_index(path: Path) -> Index | None:
    """One index file, its stars mapped and not read; None where it is no index."""
    from astropy.io import fits  # costs 0.3 s: only those who solve pay it

    try:
        with fits.open(path, memmap=True) as hdus:
            named = {hdu.columns.names[0]: hdu for hdu in hdus[1:] if getattr(hdu, "columns", None)}
            head, stars, scale = hdus[0].header, named.get("kdtree_data_stars"), named.get("kdtree_range_stars")
            if stars is None or scale is None or "SCALE_L" not in head:
                return None
            count = int(stars.header["NAXIS2"])
            vectors: NDArray[np.uint32] = np.memmap(
                path, "<u4", mode="r", offset=stars.fileinfo()["datLoc"], shape=(count, 3)
            )
            values = np.frombuffer(scale.data.tobytes(), "<f8")
            magnitude = next((name for name in named if name.upper().startswith("MAG")), None)
            if magnitude is not None:
                rank = np.asarray(named[magnitude].data[magnitude], np.float32)
            elif "sweep" in named:
                rank = np.frombuffer(named["sweep"].data.tobytes(), np.uint8).astype(np.float32)
            else:
                return None
    except (OSError, ValueError, KeyError, IndexError, TypeError):
        return None
    low_deg, high_deg = (math.degrees(float(head[name])) for name in ("SCALE_L", "SCALE_U"))
    told = magnitude is not None
    return Index(path, low_deg, high_deg, vectors, rank, values[:3], 1.0 / float(values[6]), told)


@dataclass(frozen=True, slots=True)
class IndexStars:
    """The stars of the deepest index files in some folders; a `match.StarsNear`."""

    folders: tuple[Path, ...]

    def __call__(self, ra_deg: float, dec_deg: float, radius_deg: float, most: int) -> tuple[Floats, Floats]:
        """See `match.StarsNear`. Nothing where there is no index."""
        ra, dec = math.radians(ra_deg), math.radians(dec_deg)
        direction = np.array([math.cos(dec) * math.cos(ra), math.cos(dec) * math.sin(ra), math.sin(dec)])
        parts = [index.near(direction, radius_deg) for index in deepest(self.folders)]
        if not parts:
            return np.empty(0), np.empty(0)
        vectors = np.concatenate([part[0] for part in parts])
        order = np.argsort(np.concatenate([part[1] for part in parts]), kind="stable")[:most]
        x, y, z = vectors[order].T
        return np.degrees(np.arctan2(y, x)) % 360.0, np.degrees(np.arcsin(np.clip(z, -1.0, 1.0)))


@lru_cache(maxsize=8)
def deepest(folders: tuple[Path, ...]) -> tuple[Index, ...]:
    """The index files in these folders that have the smallest quads: they hold the most stars."""
    found = [index for path in index_files(folders) if (index := read_index(path)) is not None]
    smallest = min((index.low_deg for index in found), default=0.0)
    return tuple(index for index in found if index.low_deg <= 1.01 * smallest)


@dataclass(frozen=True, slots=True)
class Coverage:
    """Whether the installed indexes can solve a field blind. `advice` says what to install; empty when all is well.

    `stars` is how many of their stars such a field holds on the average.
    """

    covered: bool
    files: int
    advice: str = ""
    stars: float = 0.0

    @property
    def centres(self) -> bool:
        """Whether it holds stars enough to be solved where the mount points about right."""
        return self.stars >= NEAR_STARS


NEAR_STARS = 6.0
"""Of eight fields with 3.5 stars of the index on the average our own matching solved one, with 8 seven."""
LARGEST_QUAD = 0.5
SKY_ARCMIN2 = 41_252.96 * 3600.0

_DEBIAN = (
    (22.0, "astrometry-data-tycho2-07-littleendian"),
    (30.0, "astrometry-data-tycho2-08-littleendian"),
    (42.0, "astrometry-data-tycho2-09-littleendian"),
    (60.0, "astrometry-data-tycho2-10-19-littleendian"),
)
"""Debian's packages by the size of their smallest quads, arcminutes."""


def coverage(folders: Sequence[Path], width_arcmin: float, height_arcmin: float) -> Coverage:
    """Whether the indexes in `folders` cover a field of that size.

    astrometry.net wants quads of 10 to 100 % of the field; those of a third and more of its shorter side have
    enough stars to them. A field has enough quads where the smallest are up to LARGEST_QUAD of its diagonal: with the
    stars of index 08 (30') eight fields of 57' by 46' of eight were solved, five of 46' by 37', two of 38' by 31', none
    of 33' by 26'. Fields under half a degree are beyond Tycho-2: they want the 5200 series, or ASTAP.
    """
    shorter, diagonal = min(width_arcmin, height_arcmin), math.hypot(width_arcmin, height_arcmin)
    low, high = shorter / 3.0, LARGEST_QUAD * diagonal
    found = [index for path in index_files(folders) if (index := read_index(path)) is not None]
    stars = sum(len(index.vectors) for index in deepest(tuple(folders))) * width_arcmin * height_arcmin / SKY_ARCMIN2
    if any(60.0 * index.low_deg < high and 60.0 * index.high_deg > low for index in found):
        return Coverage(True, len(found), stars=stars)
    fitting = [package for size, package in _DEBIAN if size < high]
    if fitting:
        return Coverage(False, len(found), f"apt-get install astrometry.net {fitting[-1]}", stars)
    return Coverage(
        False,
        len(found),
        f"a field of {width_arcmin:.0f}' by {height_arcmin:.0f}' is too small for Tycho-2: put index files of the 5200 "
        "series (data.astrometry.net) into a folder named in solve.index_dirs, or name ASTAP in solve.astap",
        stars,
    )
