"""CPU time of measuring and judging a frame, by its size; and a large frame beside Debian's source-extractor.

    python -m tests.bench.eyes

Floors: measuring a 6248×4176 16-bit frame and asking all models about it takes at most 1.5 times the wall time that
source-extractor takes for its catalogue of the same frame (aim: 1.0), and under 600 MB. Both begin from the file and
run in turn, each in a process of its own; ours is a worker as the daemon keeps one: it has judged a small frame
before. The fastest of each is compared, since another program's turn on the processor slows either.
"""

import json
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

from astrod.appraise import appraise
from astrod.frames.image import read_image
from astrod.judge import judge, strangeness
from astrod.measure import measure

SIZES = ((484, 274), (1936, 1096), (6248, 4176))
ROUNDS = 5
TURNS = 4
EXTRACTOR = "source-extractor"
CONFIGURATION = Path("/usr/share/source-extractor")
COLUMNS = (
    "NUMBER",
    "X_IMAGE",
    "Y_IMAGE",
    "FLUX_AUTO",
    "FLUXERR_AUTO",
    "FLUX_MAX",
    "A_IMAGE",
    "B_IMAGE",
    "THETA_IMAGE",
    "FWHM_IMAGE",
    "ELONGATION",
    "FLAGS",
)
STEPS = ("read", "measure", "quality", "anomaly", "all")


def fits_of(folder: Path, width: int, height: int) -> Path:
    """A frame of the simulated observatory as 16-bit FITS."""
    from astropy.io import fits

    from astrod_drivers.sim.render import render  # not in the worker, whose memory is measured
    from astrod_drivers.sim.scene import Scene, Sensor

    path = folder / f"{width}x{height}.fits"
    fits.PrimaryHDU(render(Scene(sensor=Sensor(width_px=width, height_px=height)))).writeto(path)
    return path


def spent(path: Path) -> dict[str, float]:
    """Median CPU seconds of each step and of all together."""
    rows = []
    for _round in range(ROUNDS):
        marks = [time.process_time()]
        image = read_image(path)
        marks.append(time.process_time())
        _measured, evidence = measure(image)
        marks.append(time.process_time())
        judge(evidence)
        marks.append(time.process_time())
        strangeness(evidence, 1)
        marks.append(time.process_time())
        rows.append([*np.diff(marks), marks[-1] - marks[0]])
    middle = np.median(np.array(rows), axis=0)
    return dict(zip(STEPS, (round(float(value), 4) for value in middle), strict=True))


def serve() -> None:
    """A worker: appraises each file named on its input, and says what it took and the most memory that it ever had."""
    for line in sys.stdin:
        wall, cpu = time.monotonic(), time.process_time()
        appraise(Path(line.strip()))
        took = [time.monotonic() - wall, time.process_time() - cpu]
        print(json.dumps([*took, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024.0]), flush=True)


def extracted(path: Path, folder: Path) -> tuple[float, float]:
    """Wall and CPU seconds of source-extractor's catalogue of a file, with its own defaults."""
    columns = folder / "columns.param"
    columns.write_text("\n".join(COLUMNS) + "\n")
    command = [EXTRACTOR, str(path), "-c", str(CONFIGURATION / "default.sex"), "-PARAMETERS_NAME", str(columns)]
    command += [
        "-FILTER_NAME",
        str(CONFIGURATION / "default.conv"),
        "-STARNNW_NAME",
        str(CONFIGURATION / "default.nnw"),
    ]
    command += ["-CATALOG_NAME", str(folder / "catalogue"), "-VERBOSE_TYPE", "QUIET"]
    before, wall = resource.getrusage(resource.RUSAGE_CHILDREN), time.monotonic()
    subprocess.run(command, check=True, cwd=folder)
    took, after = time.monotonic() - wall, resource.getrusage(resource.RUSAGE_CHILDREN)
    return took, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def beside(path: Path, small: Path, folder: Path) -> dict[str, object]:
    """Ours and source-extractor's wall, CPU and memory on one file, in turns, and the ratio of the fastest."""
    worker = subprocess.Popen(
        [sys.executable, "-m", "tests.bench.eyes", "--serve"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert worker.stdin is not None
    assert worker.stdout is not None
    ours, theirs, most_mb = [], [], 0.0
    for turn in range(TURNS + 1):
        worker.stdin.write(f"{small if turn == 0 else path}\n")
        worker.stdin.flush()
        wall, cpu, most_mb = json.loads(worker.stdout.readline())
        if turn:
            ours.append((wall, cpu))
            if shutil.which(EXTRACTOR):
                theirs.append(extracted(path, folder))
    worker.stdin.close()
    worker.wait(60)
    said: dict[str, object] = {"frame": path.stem, "peak_mb": round(most_mb, 1)}
    said |= dict(zip(("wall_s", "cpu_s"), np.min(ours, axis=0).round(2).tolist(), strict=True))
    if theirs:
        said |= dict(zip(("their_wall_s", "their_cpu_s"), np.min(theirs, axis=0).round(2).tolist(), strict=True))
        ratio = np.min(ours, axis=0) / np.min(theirs, axis=0)
        said |= dict(zip(("wall_ratio", "cpu_ratio"), ratio.round(2).tolist(), strict=True))
    return said


def main() -> None:
    """One line of JSON for each size (the first call, with its imports and the models' loading, apart), then the
    race.
    """
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        paths = [fits_of(folder, width, height) for width, height in SIZES]
        for path in paths:
            started = time.process_time()
            appraise(path)
            first = round(time.process_time() - started, 4)
            print(json.dumps({"frame": path.stem, "first": first} | spent(path)), flush=True)
        print(json.dumps(beside(paths[-1], paths[0], folder)), flush=True)


if __name__ == "__main__":
    serve() if sys.argv[1:] == ["--serve"] else main()
