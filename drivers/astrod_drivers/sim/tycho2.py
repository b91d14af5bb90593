"""How `data/tycho2_bright.npy` was made: the stars to V 9.5 out of Debian's astrometry-data-tycho2.

    apt-get install astrometry-data-tycho2-10-19-littleendian
    python -m astrod_drivers.sim.tycho2 /usr/share/astrometry/index-tycho2-10.littleendian.fits

The index holds each star's unit vector (three u32, in a kd-tree) and its V_T magnitude, and keeps the
brightest stars of each square degree or so: about complete to V 9.5. Three stars too bright for Tycho are
added by hand. See `data/LICENCE-tycho2.txt`.
"""

import sys
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from astrod_drivers.sim.catalogue import BRIGHT_FILE, BRIGHT_GRID, CELLS_FILE, FAINT_END_MAG, pack

# Name, ICRS degrees at J2000, V: in no Tycho-2 catalogue.
TOO_BRIGHT = (
    ("Sirius", 101.28716, -16.71612, -1.46),
    ("Canopus", 95.98796, -52.69566, -0.74),
    ("Vega", 279.23473, 38.78369, 0.03),
)
_STARS_EXTENSION, _SCALE_EXTENSION, _MAGNITUDE_EXTENSION = 11, 10, 13


def read_index(path: Path) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    """Right ascension, declination (degrees) and V_T of every star of an index file."""
    from astropy.io import fits

    with fits.open(path) as index:
        raw = np.frombuffer(index[_STARS_EXTENSION].data.tobytes(), "<u4").reshape(-1, 3)
        scale = np.frombuffer(index[_SCALE_EXTENSION].data.tobytes(), "<f8")
        magnitude = np.asarray(index[_MAGNITUDE_EXTENSION].data["MAG_VT"], np.float64)
    x, y, z = (raw / scale[6] + scale[:3]).T
    return np.degrees(np.arctan2(y, x)) % 360.0, np.degrees(np.arcsin(np.clip(z, -1, 1))), magnitude


def main(source: Path) -> None:
    """Write the catalogue's two files from an index file."""
    ra_deg, dec_deg, magnitude = read_index(source)
    nowhere = (np.abs(dec_deg) < 1e-4) & (np.abs((ra_deg + 180.0) % 360.0 - 180.0) < 1e-4)  # one has no position
    real = (magnitude < FAINT_END_MAG) & ~nowhere
    ra_deg = np.concatenate([ra_deg[real], [star[1] for star in TOO_BRIGHT]])
    dec_deg = np.concatenate([dec_deg[real], [star[2] for star in TOO_BRIGHT]])
    magnitude = np.concatenate([magnitude[real], [star[3] for star in TOO_BRIGHT]])
    cell = BRIGHT_GRID.locate(ra_deg, dec_deg)
    order = np.lexsort((magnitude, cell))
    np.save(BRIGHT_FILE, pack(cell[order], ra_deg[order], dec_deg[order], magnitude[order]))
    np.save(CELLS_FILE, np.bincount(cell, minlength=BRIGHT_GRID.cells).astype("u1"))
    print(f"{len(order)} stars to V {FAINT_END_MAG} in {BRIGHT_FILE}")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
