"""Plate solving: the one door to astrometry.net and ASTAP, and to our own matching for frames that are about right.

Three ways, tried by who calls:

* `near`: our own matching (`match`) against catalogue stars around the expected place, in this process: milliseconds
  to a tenth of a second;
* `blind`: astrometry.net's `solve-field` with the owner's index files, given the stars that we measured (it never
  extracts again), then ASTAP where one is configured. Each is a process group with a deadline, killed whole.

Everything here is synchronous and meant for a worker (`runtime.offload`). Scratch files lie in a folder of their own
under the system's temporary folder and go with the call; those of a worker that was killed go with the next one.
"""

import contextlib
import logging
import math
import os
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from astrod.domain.plate import Expected, Parity, PlateSolution
from astrod.domain.sphere import separation_deg
from astrod.measure.index import Coverage, coverage, index_files
from astrod.measure.match import Spots, StarsNear, deproject, match, project
from astrod.measure.plane import Frame, plane
from astrod.measure.sources import sky, sources

log = logging.getLogger(__name__)

MOST_SPOTS = 200
RICH_WITHIN_DEG, RICH_STARS, RICH_OFFERED = 4.0, 1500, 20
_SCRATCH = "astrod-solve-"
_GRACE_S = 5.0


@dataclass(frozen=True, slots=True)
class Solver:
    """What there is to solve with; travels to the worker.

    `stars` is the catalogue for frames that are about right, None without one. `index_dirs` are the folders of
    astrometry.net's index files. `solve_field` and `astap` are programs, by path or by name; None: not to be used.
    `deadline_s` bounds each program.
    """

    stars: StarsNear | None = None
    index_dirs: tuple[Path, ...] = ()
    solve_field: str | None = "solve-field"
    astap: str | None = None
    deadline_s: float = 60.0

    @property
    def usable(self) -> bool:
        """Whether there is anything to solve with at all."""
        return self.stars is not None or self.blind_ways != ()

    @property
    def blind_ways(self) -> tuple[str, ...]:
        """The programs that are there and have what they need, by name."""
        ways = []
        if self.solve_field is not None and shutil.which(self.solve_field) and index_files(self.index_dirs):
            ways.append("astrometry.net")
        if self.astap is not None and shutil.which(self.astap):
            ways.append("ASTAP")
        return tuple(ways)


def covered(solver: Solver, width_arcmin: float, height_arcmin: float) -> Coverage:
    """Whether a field of that size can be solved when the mount is lost; for `doctor`."""
    if "ASTAP" in solver.blind_ways:
        return Coverage(True, len(index_files(solver.index_dirs)))
    found = coverage(solver.index_dirs, width_arcmin, height_arcmin)
    if found.covered and solver.solve_field is not None and not shutil.which(solver.solve_field):
        return Coverage(False, found.files, "apt-get install astrometry.net", found.stars)
    return found


def spots_of(frame: Frame) -> Spots:
    """The stars of a frame, brightest first, in pixels of the whole frame. Raises InputInvalid as `measure` does."""
    seen = plane(frame)
    found = sources(sky(seen.values, seen.mask), seen.mask)
    round_ones = np.flatnonzero(~found.hot & (found.a < 4.0 * found.b))[:MOST_SPOTS]
    height, width = frame.pixels.shape
    middle = (seen.scale_px - 1) / 2.0  # a superpixel's centre lies between its pixels
    return Spots(
        found.x[round_ones] * seen.scale_px + middle - (width - 1) / 2.0,
        found.y[round_ones] * seen.scale_px + middle - (height - 1) / 2.0,
        width,
        height,
    )


def near(spots: Spots, expected: Expected, solver: Solver) -> PlateSolution | None:
    """Where a frame is, by our own matching around the expected place; None where nothing is proved."""
    return match(spots, expected, solver.stars) if solver.stars is not None else None


def blind(frame: Frame, spots: Spots, expected: Expected, solver: Solver) -> PlateSolution | None:
    """Where a frame is, anywhere on the sky: only the scale of `expected` is believed. None when nobody can tell.

    Takes up to `solver.deadline_s` for each program that there is.
    """
    ways = solver.blind_ways
    scale_arcmin = expected.scale_arcsec_px / 60.0
    reaches = coverage(solver.index_dirs, spots.width_px * scale_arcmin, spots.height_px * scale_arcmin).covered
    if "astrometry.net" in ways and reaches:  # where it does not, it would search in vain until its deadline
        found = _by_astrometry_net(spots, expected, solver, hinted=False)
        if found is not None:
            return found
    return _by_astap(frame, expected, solver, hinted=False) if "ASTAP" in ways else None


def hinted(frame: Frame, spots: Spots, expected: Expected, solver: Solver) -> PlateSolution | None:
    """As `blind`, within `expected.within_deg` of the expected place; for owners without a catalogue for `near`."""
    ways = solver.blind_ways
    if "astrometry.net" in ways:
        found = _by_astrometry_net(spots, expected, solver, hinted=True)
        if found is not None:
            return found
    return _by_astap(frame, expected, solver, hinted=True) if "ASTAP" in ways else None


def rich_fields(ra_deg: float, dec_deg: float, field_deg: float, solver: Solver) -> list[tuple[float, float]]:
    """Places within a few degrees where a field of that size holds most bright stars, the best first.

    A degree of way counts as much as one star fewer. Empty without a catalogue.
    """
    if solver.stars is None:
        return []
    ra, dec = solver.stars(ra_deg, dec_deg, RICH_WITHIN_DEG, RICH_STARS)
    flat = project(ra, dec, ra_deg, dec_deg) / 3600.0
    near = np.abs(flat[:, None] - flat[None, :]) < 0.45 * field_deg
    order = np.argsort(np.abs(flat) - near.sum(axis=1), kind="stable")[:RICH_OFFERED]
    middles = (flat @ near.T) / near.sum(axis=1)
    return [deproject(complex(3600.0 * middles[i]), ra_deg, dec_deg) for i in order]


# -- astrometry.net ------------------------------------------------------------------------------------------


def _by_astrometry_net(spots: Spots, expected: Expected, solver: Solver, hinted: bool) -> PlateSolution | None:
    if len(spots) < 4 or solver.solve_field is None:
        return None
    scale, slack = expected.scale_arcsec_px, 1.0 + expected.scale_error
    with _scratch() as folder:
        _write_xylist(folder / "stars.fits", spots)
        paths = "\n".join(f"add_path {path}" for path in solver.index_dirs)
        (folder / "engine.cfg").write_text(f"inparallel\ncpulimit {solver.deadline_s:.0f}\n{paths}\nautoindex\n")
        words = [
            *(
                solver.solve_field,
                "--config",
                str(folder / "engine.cfg"),
                "--dir",
                str(folder),
                "--temp-dir",
                str(folder),
            ),
            *("--width", str(spots.width_px), "--height", str(spots.height_px), "--overwrite", "--no-plots"),
            *("--x-column", "X", "--y-column", "Y", "--sort-column", "FLUX", "--no-remove-lines", "--no-tweak"),
            *("--scale-units", "arcsecperpix", "--scale-low", f"{scale / slack:.4f}"),
            *("--scale-high", f"{scale * slack:.4f}", "--cpulimit", f"{solver.deadline_s:.0f}", "--new-fits", "none"),
            *("--wcs", str(folder / "found.wcs"), "--corr", str(folder / "found.corr"), "--match", "none"),
        ]
        if hinted:
            words += ["--ra", f"{expected.ra_deg:.5f}", "--dec", f"{expected.dec_deg:.5f}"]
            words += ["--radius", f"{expected.within_deg:.3f}"]
        _run([*words, str(folder / "stars.fits")], folder, solver.deadline_s)
        wcs = folder / "found.wcs"
        if not wcs.is_file():
            return None
        found = _from_wcs(wcs, spots.width_px, spots.height_px, "astrometry.net")
        if found is None:
            return None
        residual_arcsec, stars = _fit_of(folder / "found.corr")
        return replace(found, residual_arcsec=residual_arcsec, stars=stars)


def _write_xylist(path: Path, spots: Spots) -> None:
    """A table of stars as astrometry.net wants it: FITS pixels, 1 the centre of the first, and a flux to sort by."""
    from astropy.io import fits

    columns = [
        fits.Column("X", "E", array=spots.x_px + (spots.width_px + 1) / 2.0),
        fits.Column("Y", "E", array=spots.y_px + (spots.height_px + 1) / 2.0),
        fits.Column("FLUX", "E", array=np.arange(len(spots), 0, -1, dtype=np.float32)),
    ]
    fits.BinTableHDU.from_columns(columns).writeto(path)


def _fit_of(path: Path) -> tuple[float, int]:
    """RMS residual and number of the stars that astrometry.net matched."""
    from astropy.io import fits

    if not path.is_file():
        return 0.0, 0
    with fits.open(path) as hdus:
        table = hdus[1].data
        away = [
            3600.0
            * separation_deg(
                float(row["field_ra"]), float(row["field_dec"]), float(row["index_ra"]), float(row["index_dec"])
            )
            for row in table
        ]
    return math.sqrt(sum(d * d for d in away) / max(1, len(away))), len(away)


# -- ASTAP ---------------------------------------------------------------------------------------------------


def _by_astap(frame: Frame, expected: Expected, solver: Solver, hinted: bool) -> PlateSolution | None:
    """ASTAP's command line (https://www.hnsky.org/astap.htm): it wants an image, and writes a .wcs header."""
    from astropy.io import fits

    if solver.astap is None:
        return None
    height, width = frame.pixels.shape
    with _scratch() as folder:
        values: NDArray[np.float32] = plane(frame).values
        binned = width // values.shape[1]
        fits.PrimaryHDU(values).writeto(folder / "frame.fits")
        field_deg = expected.scale_arcsec_px * height / 3600.0
        radius_deg = expected.within_deg if hinted else 180.0
        words = [
            *(solver.astap, "-f", str(folder / "frame.fits"), "-o", str(folder / "found"), "-wcs", "-z", "0"),
            *("-ra", f"{expected.ra_deg / 15.0:.6f}", "-spd", f"{expected.dec_deg + 90.0:.5f}"),
            *("-fov", f"{field_deg:.4f}", "-r", f"{radius_deg:.2f}"),
        ]
        _run(words, folder, solver.deadline_s)
        wcs = folder / "found.wcs"
        if not wcs.is_file():
            return None
        found = _from_wcs(wcs, width // binned, height // binned, "ASTAP")
        return None if found is None else replace(found, scale_arcsec_px=found.scale_arcsec_px / binned)


# -- what both need ------------------------------------------------------------------------------------------


def _from_wcs(path: Path, width_px: int, height_px: int, by: str) -> PlateSolution | None:
    """The solution that a FITS header's linear WCS tells; None where it tells none."""
    header = _cards(path)
    names = ("CRVAL1", "CRVAL2", "CRPIX1", "CRPIX2", "CD1_1", "CD1_2", "CD2_1", "CD2_2")
    if any(name not in header for name in names):
        return None
    ra, dec, x, y, *matrix = (header[name] for name in names)
    if not all(map(math.isfinite, (ra, dec, x, y, *matrix))) or not -90.0 <= dec <= 90.0:
        return None
    east_x, east_y, north_x, north_y = (value * 3600.0 for value in matrix)
    area = east_x * north_y - east_y * north_x
    if area == 0.0:
        return None
    right, down = (width_px + 1) / 2.0 - x, (height_px + 1) / 2.0 - y
    middle = complex(east_x * right + east_y * down, north_x * right + north_y * down)
    ra_deg, dec_deg = deproject(middle, ra, dec)
    parity: Parity = "direct" if area > 0.0 else "mirrored"
    rotation_deg = math.degrees(math.atan2(-east_y, -north_y)) % 360.0
    return PlateSolution(ra_deg, dec_deg, rotation_deg, math.sqrt(abs(area)), parity, 0.0, 0, by)


def _cards(path: Path) -> dict[str, float]:
    """The numbers of a FITS header, whether of 2880-byte blocks or, as ASTAP writes it, of lines."""
    text = path.read_bytes().decode("ascii", "replace")
    lines = text.splitlines() if "\n" in text else [text[i : i + 80] for i in range(0, len(text), 80)]
    found: dict[str, float] = {}
    for line in lines:
        name, equals, rest = line[:8].strip(), line[8:9], line[9:]
        if equals == "=":
            with contextlib.suppress(ValueError):  # a text, a truth value: not what is looked for
                found[name] = float(rest.split("/")[0])
    return found


def _run(words: Sequence[str], folder: Path, deadline_s: float) -> None:
    """Run a program in a process group of its own until it ends, or kill the group when it is late."""
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "TMPDIR": str(folder), "LC_ALL": "C.UTF-8"}
    try:
        process = subprocess.Popen(
            list(words),
            cwd=folder,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
    except OSError as fault:
        log.warning("%s cannot be run: %s", words[0], fault)
        return
    try:
        process.wait(deadline_s + _GRACE_S)
    except subprocess.TimeoutExpired:
        log.warning("%s took over %g s and was killed", words[0], deadline_s + _GRACE_S)
    finally:
        with contextlib.suppress(ProcessLookupError):  # nothing of the group is left
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()


@contextlib.contextmanager
def _scratch() -> Iterator[Path]:
    """A folder for one call; what earlier workers left behind as they were killed goes first."""
    root = Path(tempfile.gettempdir())
    for left in root.glob(f"{_SCRATCH}*"):
        if not _lives(left.name.removeprefix(_SCRATCH).split("-")[0]):
            shutil.rmtree(left, ignore_errors=True)
    folder = Path(tempfile.mkdtemp(prefix=f"{_SCRATCH}{os.getpid()}-", dir=root))
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _lives(pid: str) -> bool:
    try:
        os.kill(int(pid), 0)
    except (ProcessLookupError, ValueError):
        return False
    except PermissionError:
        return True
    return True
