"""How long the eyes take: CPU seconds to read, measure and judge one frame, on one thread.

PYTHONPATH=daemon:drivers:models python tests/bench/eyes.py
"""

import json
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

from astrod.appraise import appraise
from astrod.frames.image import read_image
from astrod.judge import judge
from astrod.measure import measure
from astrod_drivers.sim.render import render
from astrod_drivers.sim.scene import Scene, Sensor

SIZES = ((484, 274), (1936, 1096), (6248, 4176))
ROUNDS = 5


def fits_of(folder: Path, width: int, height: int) -> Path:
    """A frame of the simulated observatory as 16-bit FITS."""
    from astropy.io import fits

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
        rows.append([*np.diff(marks), marks[-1] - marks[0]])
    middle = np.median(np.array(rows), axis=0)
    return dict(zip(("read", "measure", "judge", "all"), (round(float(value), 4) for value in middle), strict=True))


def main() -> None:
    """One line of JSON for each size; the first call, with its imports and the model's loading, apart."""
    with tempfile.TemporaryDirectory() as name:
        for width, height in SIZES:
            path = fits_of(Path(name), width, height)
            started = time.process_time()
            appraise(path)
            first = round(time.process_time() - started, 4)
            sys.stdout.write(json.dumps({"frame": f"{width}x{height}", "first": first} | spent(path)) + "\n")


if __name__ == "__main__":
    main()
