"""The bright-star table of the daemon, written from the Hipparcos catalogue; and the same stars as unit vectors.

`python -m training.brightstars CATALOGUE` takes ESA's `hip_main.dat.gz`; needed only to make the table again.
"""

import argparse
import gzip
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from astrod.measure.brightstars import FAINTEST, bright_stars

_EPOCH_YEARS = 2000.0 - 1991.25
_HEAD = """\
# ra_deg, dec_deg (ICRS, epoch J2000.0), V magnitude, from the Hipparcos catalogue (ESA 1997, ESA SP-1200)
# written by python -m training.brightstars
"""


@dataclass(frozen=True, slots=True, eq=False)
class Stars:
    """Directions (n, 3) and magnitudes, brightest first."""

    vectors: NDArray[np.float64]
    magnitudes: NDArray[np.float64]


def stars() -> Stars:
    """The daemon's bright stars as unit vectors."""
    found = bright_stars()
    ra, dec = np.deg2rad(found.ra_deg), np.deg2rad(found.dec_deg)
    vectors = np.stack([np.cos(dec) * np.cos(ra), np.cos(dec) * np.sin(ra), np.sin(dec)], axis=1)
    return Stars(vectors, found.magnitude)


def table(catalogue: Path) -> str:
    """The rows of the catalogue that are bright enough, by magnitude."""
    rows = []
    with gzip.open(catalogue, "rt", encoding="ascii", errors="replace") as lines:
        for line in lines:
            cells = line.split("|")
            magnitude, place, motion = cells[5].strip(), cells[8:10], cells[12:14]
            if not magnitude or float(magnitude) > FAINTEST or not all(part.strip() for part in place):
                continue
            ra_deg, dec_deg = float(place[0]), float(place[1])
            ra_mas, dec_mas = (float(part) if part.strip() else 0.0 for part in motion)
            dec_now = dec_deg + dec_mas * _EPOCH_YEARS / 3.6e6
            ra_now = (ra_deg + ra_mas * _EPOCH_YEARS / 3.6e6 / np.cos(np.deg2rad(dec_deg))) % 360.0
            rows.append((float(magnitude), f"{ra_now:.4f},{dec_now:.4f},{float(magnitude):.2f}\n"))
    return _HEAD + "".join(text for _, text in sorted(rows))


def main() -> None:
    """Write the daemon's table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("catalogue", type=Path, help="hip_main.dat.gz")
    parser.add_argument("--out", type=Path, default=Path("daemon/astrod/measure/brightstars.csv"))
    chosen = parser.parse_args()
    chosen.out.write_text(table(chosen.catalogue), encoding="utf-8")


if __name__ == "__main__":
    main()
