"""Stars for INDI's simulators: a stand-in for the program `gsc`, which they ask for what to draw.

python -m astrod_drivers.sim.gsc -c RA DEC -r ARCMIN -m 0 MAG -n N

prints one star a line, brightest first, in the twelve columns that `indi_simulator_ccd` and
`indi_simulator_guide` read: identifier, right ascension, declination (J2000 degrees), its error, magnitude,
its error, band, class, plate, multiplicity, distance from the centre (arcminutes) and its direction
(degrees).

`write_gsc` puts an executable of that name into a folder for indiserver's PATH; `write_fits_night` fills a
folder for the CCD simulator's CCD_DIRECTORY_LOCATION with frames of the simulated sky.
"""

import argparse
import shlex
import sys
from collections.abc import Iterable
from pathlib import Path

import numpy as np

from astrod_drivers.sim import catalogue
from astrod_drivers.sim.scene import Scene

_PACKAGES = Path(__file__).parents[2]


def lines(
    ra_deg: float, dec_deg: float, radius_arcmin: float, brightest: float, faintest: float, number: int
) -> list[str]:
    """The answer to one question, a line for each star. A `brightest` of 0 has no limit."""
    stars = catalogue.stars_in_cone(ra_deg % 360.0, dec_deg, radius_arcmin / 60.0, faintest)
    stars = stars.where((stars.mag >= brightest) | (brightest <= 0.0))
    distance = catalogue.separation_deg(stars.ra_deg, stars.dec_deg, ra_deg, dec_deg) * 60.0
    east = np.sin(np.radians(stars.ra_deg - ra_deg)) * np.cos(np.radians(stars.dec_deg))
    north = np.sin(np.radians(stars.dec_deg - dec_deg))
    direction = np.degrees(np.arctan2(east, north)) % 360.0
    return [
        f"S{k:09d} {stars.ra_deg[k]:10.6f} {stars.dec_deg[k]:+10.6f}  0.1 {stars.mag[k]:5.2f} 0.05"
        f" 1 0 A000 N {distance[k]:8.3f} {int(direction[k]):3d}"
        for k in np.argsort(stars.mag, kind="stable")[:number]
    ]


def write_gsc(folder: Path) -> Path:
    """Make an executable `gsc` in `folder`, which runs this module by the interpreter that runs now."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "gsc"
    command = f"{shlex.quote(sys.executable)} -m astrod_drivers.sim.gsc"
    found = f"{shlex.quote(str(_PACKAGES))}${{PYTHONPATH:+:$PYTHONPATH}}"
    path.write_text(f'#!/bin/sh\nPYTHONPATH={found} OPENBLAS_NUM_THREADS=1 exec {command} "$@"\n')
    path.chmod(0o755)
    return path


def write_fits_night(folder: Path, scenes: Iterable[Scene]) -> list[Path]:
    """Render scenes into `folder` as FITS files whose names keep their order; returns them."""
    from astropy.io import fits

    from astrod_drivers.sim.render import render

    folder.mkdir(parents=True, exist_ok=True)
    paths = []
    for number, scene in enumerate(scenes):
        path = folder / f"sky_{number:04d}.fits"
        unit = fits.PrimaryHDU(render(scene))
        unit.header["EXPTIME"] = (scene.exposure_s, "seconds")
        unit.header["FILTER"] = scene.filter.name
        unit.header["RA"] = (scene.pointings[0].ra_deg, "degrees, ICRS, at the start")
        unit.header["DEC"] = (scene.pointings[0].dec_deg, "degrees, ICRS, at the start")
        unit.header["ROWORDER"] = "TOP-DOWN"
        unit.writeto(path, overwrite=True)
        paths.append(path)
    return paths


def main(arguments: list[str] | None = None) -> int:
    """The command line; returns the exit code."""
    parser = argparse.ArgumentParser(prog="gsc", description="Stars of the simulated sky around a place.")
    parser.add_argument("-c", nargs=2, type=float, required=True, metavar=("RA", "DEC"), help="degrees, J2000")
    parser.add_argument("-r", type=float, default=30.0, metavar="ARCMIN")
    parser.add_argument("-m", nargs=2, type=float, default=(0.0, 14.0), metavar=("FROM", "TO"))
    parser.add_argument("-n", type=int, default=3000, metavar="N")
    given = parser.parse_args(arguments)
    if not (-90.0 <= given.c[1] <= 90.0 and 0.0 < given.r <= 600.0):
        parser.error("the declination must be within -90..90 degrees, the radius within 0..600 arcminutes")
    sys.stdout.write(
        "".join(f"{line}\n" for line in lines(given.c[0], given.c[1], given.r, given.m[0], given.m[1], given.n))
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())
