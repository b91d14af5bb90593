"""How long science takes: seconds and memory to calibrate, solve and list one frame, beside source-extractor's time for
detection and photometry alone; and what the reduction makes of real frames, where they are kept beside the project.

PYTHONPATH=daemon:drivers:models:. python tests/bench/science.py [FOLDER OF REAL FRAMES]
"""

import json
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from astrod.measure.catalogue import Tycho2, import_table
from astrod.measure.wcs import Wcs
from astrod.reduction import INDEX_DIRS, Settings, reduce
from tests.reduction.camera import Camera, save, stars_on

ROWS, COLUMNS, STARS = 2822, 4144, 1500
SCALE_ARCSEC = 4.0
COMMON = {"INSTRUME": "Bench", "XBINNING": 1, "YBINNING": 1, "GAIN": 120, "CCD_TEMP": -10.0}


def laid(folder: Path) -> list[Path]:
    """A light of that size, twice, with three frames of each calibration kind and a catalogue of its stars."""
    camera, dice = Camera(rows=ROWS, columns=COLUMNS), np.random.default_rng(4)
    x, y = dice.uniform(10, COLUMNS - 10, STARS), dice.uniform(10, ROWS - 10, STARS)
    electrons = 10.0 ** dice.uniform(3.3, 5.6, STARS)
    step = SCALE_ARCSEC / 3600.0
    ra, dec = Wcs(150.0, 30.0, (COLUMNS - 1) / 2, (ROWS - 1) / 2, (-step, 0.0, 0.0, -step)).sky(x, y)
    rows = [f"{a:.8f},{d:.8f},{22 - 2.5 * np.log10(e / 1.6):.4f}" for a, d, e in zip(ra, dec, electrons, strict=True)]
    (folder / "stars.csv").write_text("\n".join(["ra,dec,Vmag", *rows]))
    import_table(folder / "stars.csv", folder / "catalogue")
    made = []
    for kind, light, seconds in (("Bias Frame", 0.0, 0.0), ("Dark Frame", 0.0, 30.0), ("Flat Field", 30_000.0, 2.0)):
        for number in range(3):
            path = folder / f"{kind.split()[0].lower()}{number}.fits"
            pixels = camera.expose(light, 30.0 if kind == "Dark Frame" else 0.0, dice)
            made.append(save(path, pixels, IMAGETYP=kind, EXPTIME=seconds, FILTER="V", **COMMON))
    sky = {"RA": 150.0, "DEC": 30.0, "SCALE": SCALE_ARCSEC, "FILTER": "V", "EXPTIME": 30.0, "IMAGETYP": "Light Frame"}
    raw = camera.expose(stars_on(camera, x, y, electrons, 300.0), 30.0, dice)
    return [save(folder / f"light{number}.fits", raw, **COMMON, **sky) for number in range(3)] + made


def speed(folder: Path) -> Iterator[dict[str, Any]]:
    """The first frame with its masters and imports, then two more; then source-extractor on the same light."""
    files = laid(folder)
    settings = Settings(out=folder / "out", catalogue=folder / "catalogue", index_dirs=(), search=False)
    reports = reduce(files, settings)
    for number in range(3):
        cpu, wall = time.process_time(), time.perf_counter()
        report = next(reports)
        yield {
            "frame": f"{COLUMNS}x{ROWS}",
            "what": "first, with nine calibration frames" if number == 0 else "next",
            "cpu_s": round(time.process_time() - cpu, 2),
            "wall_s": round(time.perf_counter() - wall, 2),
            "sources": report["sources"],
            "solved": report["solved"] is not None,
            "most_memory_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024,
        }
    if shutil.which("source-extractor") is not None:
        yield peer(folder, files[0])


def peer(folder: Path, light: Path) -> dict[str, Any]:
    """source-extractor's detection and aperture photometry of the raw light: no calibration, no solving, no profile."""
    (folder / "wanted.param").write_text("X_IMAGE\nY_IMAGE\nFLUX_APER\nFLUXERR_APER\nFLUX_AUTO\nFLAGS\n")
    (folder / "filter.conv").write_text("CONV NORM\n1 2 1\n2 4 2\n1 2 1\n")
    words = f"-c /dev/null -PARAMETERS_NAME {folder}/wanted.param -FILTER_NAME {folder}/filter.conv -CATALOG_NAME "
    words += f"{folder}/se.cat -DETECT_THRESH 2.5 -VERBOSE_TYPE QUIET"
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    wall = time.perf_counter()
    subprocess.run(["source-extractor", str(light), *words.split()], check=True, capture_output=True)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    listed = (folder / "se.cat").read_text().splitlines()
    return {
        "frame": f"{COLUMNS}x{ROWS}",
        "what": "source-extractor, detection and apertures alone",
        "cpu_s": round(after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime, 2),
        "wall_s": round(time.perf_counter() - wall, 2),
        "sources": sum(not line.startswith("#") for line in listed),
        "most_memory_mb": after.ru_maxrss // 1024,
    }


def series(frames: Path, folder: Path) -> dict[str, Any]:
    """The time series `hatp32`: how the brightest stars scatter, against photons by the gain that the sky tells."""
    reports = list(reduce(sorted((frames / "hatp32").glob("*")), Settings(out=folder / "series", search=False)))
    level = np.array([report["sky"]["adu"] for report in reports])
    variance = np.array([report["sky"]["noise_adu"] ** 2 for report in reports])
    slopes = [
        (variance[i] - variance[j]) / (level[i] - level[j])
        for i in range(len(level))
        for j in range(i)
        if abs(level[i] - level[j]) > 3.0
    ]
    gain = 1.0 / float(np.median(slopes))
    flux = _followed([Path(report["written"][1]) for report in reports])
    magnitude = -2.5 * np.log10(flux)
    zero = np.zeros((len(reports), 1))
    scatter = np.full(flux.shape[1], 1.0)
    for _round in range(10):
        left = magnitude - np.median(magnitude - zero, axis=0) - zero
        zero = zero + np.average(left, axis=1, weights=1.0 / np.maximum(scatter, 0.003) ** 2)[:, None]
        left = magnitude - zero
        left = left - np.median(left, axis=0)
        scatter = 1.4826 * np.median(np.abs(left), axis=0)
    typical, noise = np.median(flux, axis=0), float(np.median(np.sqrt(variance)))
    photons = 1.0857 * np.sqrt(1.0 / (gain * typical) + 25.0 * noise**2 / typical**2)
    order = np.argsort(-typical)[:10]
    return {
        "series": "hatp32",
        "solved": sum(report["solved"] is not None for report in reports),
        "frames": len(reports),
        "gain_e_adu": round(gain, 1),
        "stars": int(flux.shape[1]),
        "brightest_flux_adu": [round(float(value)) for value in typical[order]],
        "scatter_mag": [round(float(value), 4) for value in scatter[order]],
        "photons_mag": [round(float(value), 4) for value in photons[order]],
        "median_ratio": round(float(np.median((scatter / photons)[order])), 2),
    }


def _followed(tables: list[Path]) -> NDArray[np.float64]:
    """Aperture fluxes, frames by stars: bright stars that stand alone and are never full, found in every frame."""
    from astropy.table import Table
    from scipy.spatial import cKDTree

    listed = [Table.read(path) for path in tables]
    first = listed[0]
    good = (np.asarray(first["flags"]) == 0) & (np.asarray(first["kind"]) == "star") & ~np.asarray(first["blended"])
    middle_deg = float(np.median(np.asarray(first["dec"])))
    goal = _flat(first, middle_deg)[good][:80]
    flux = np.full((len(listed), len(goal)), np.nan)
    for number, table in enumerate(listed):
        away, nearest = cKDTree(_flat(table, middle_deg)).query(goal)
        near = (away < 4.0 / 3600.0) & (np.asarray(table["flags"])[nearest] == 0)
        flux[number, near] = np.asarray(table["aperture_flux"])[nearest[near]]
    return flux[:, np.isfinite(flux).all(axis=0) & (np.nan_to_num(flux) > 0.0).all(axis=0)]


def _flat(table: Any, dec_deg: float) -> NDArray[np.float64]:
    """Places, degrees, near that declination."""
    return np.stack([np.asarray(table["ra"]) * np.cos(np.radians(dec_deg)), np.asarray(table["dec"])], axis=1)


def carried(frames: Path, folder: Path) -> dict[str, Any]:
    """The solved `panoptes` frame: its header's WCS and ours, each against the catalogue's stars."""
    import warnings

    from astropy.io import fits
    from astropy.wcs import WCS
    from scipy.spatial import cKDTree

    path = frames / "panoptes" / "pocs_tests_data_solved.fits.gz"
    report = next(reduce([path], Settings(out=folder / "solved", search=False)))
    x, y = np.meshgrid(np.arange(20.0, 690.0, 40.0), np.arange(20.0, 690.0, 40.0))
    listed = _sources(Path(report["written"][1]))
    stars = Tycho2(INDEX_DIRS).near(report["solved"]["ra_deg"], report["solved"]["dec_deg"], 1.2, 200)
    found: dict[str, Any] = {"frame": path.name, "scale_arcsec_px": report["solved"]["scale_arcsec_px"]}
    skies = []
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for name, header in (("ours", fits.getheader(report["written"][0])), ("header's", fits.getheader(path))):
            wcs = WCS(header)
            skies.append(np.stack(wcs.all_pix2world(x.ravel(), y.ravel(), 0), axis=1))
            ra, dec = wcs.all_pix2world(listed[:, 0], listed[:, 1], 0)
            east = np.cos(np.radians(report["solved"]["dec_deg"]))
            away, _ = cKDTree(np.stack([ra * east, dec], axis=1)).query(
                np.stack([stars.ra_deg * east, stars.dec_deg], axis=1)
            )
            near = away * 3600.0 < 45.0
            found[name] = {
                "stars": int(near.sum()),
                "median_arcsec": round(float(np.median(away[near])) * 3600.0, 2),
                "within_5_arcsec": int(np.count_nonzero(away * 3600.0 < 5.0)),
            }
    apart = (skies[0] - skies[1]) * [np.cos(np.radians(report["solved"]["dec_deg"])), 1.0] * 3600.0
    away = np.hypot(apart[:, 0], apart[:, 1])
    return found | {
        "apart_median_arcsec": round(float(np.median(away)), 1),
        "apart_most_arcsec": round(float(away.max()), 1),
    }


def _sources(path: Path) -> NDArray[np.float64]:
    from astropy.table import Table

    table = Table.read(path)
    return np.stack([np.asarray(table["x"]), np.asarray(table["y"])], axis=1)


def main() -> None:
    """One line of JSON for each thing measured."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for line in speed(folder):
            sys.stdout.write(json.dumps(line) + "\n")
            sys.stdout.flush()
        for frames in (Path(word) for word in sys.argv[1:] if Path(word).is_dir()):
            sys.stdout.write(json.dumps(series(frames, folder)) + "\n")
            sys.stdout.write(json.dumps(carried(frames, folder)) + "\n")


if __name__ == "__main__":
    main()
