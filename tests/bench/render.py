"""How long frames take to render, CPU seconds on one core: `python -m tests.bench.render`."""

import time
from dataclasses import replace

from astrod_drivers.sim.render import render
from astrod_drivers.sim.scene import Cloud, Optics, Pointing, Scene, Sensor, Streak, trail

FULL = Scene()
SCENES = {
    "a field of few stars": replace(FULL, pointings=(Pointing(ra_deg=192.9, dec_deg=27.1),)),
    "an ordinary field": FULL,
    "the Milky Way": replace(FULL, pointings=(Pointing(ra_deg=290.0, dec_deg=15.0),)),
    "the galactic centre": replace(FULL, pointings=(Pointing(ra_deg=266.4, dec_deg=-29.0),)),
    "clouds": replace(FULL, cloud=Cloud(cover=0.6, offset_m=(3000.0, 500.0))),
    "defocus 300 um": replace(FULL, defocus_um=300.0, optics=Optics(obstruction=0.35)),
    "trailed by 60 arcseconds": replace(FULL, pointings=trail(83.82, 22.01, 60.0)),
    "two streaks": replace(FULL, events=(Streak(), Streak(0.2, -0.1, 0.5, 1.2, 3.0))),
    "Bayer": replace(FULL, sensor=Sensor(bayer="RGGB")),
    "dark": replace(FULL, light=False),
    "484 x 274": replace(FULL, sensor=Sensor(width_px=484, height_px=274)),
    "512 x 512": replace(FULL, sensor=Sensor(width_px=512, height_px=512)),
}


def main() -> None:
    """Print the first and the best of five for each scene."""
    for name, scene in SCENES.items():
        took = []
        for _ in range(5):
            start = time.process_time()
            render(scene)
            took.append(time.process_time() - start)
        print(f"{name:28} first {took[0] * 1e3:6.0f} ms   then {min(took) * 1e3:6.0f} ms")


if __name__ == "__main__":
    main()
