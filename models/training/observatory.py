"""Frames of the simulated observatory that astrod ships, another sky and another physics than `training.sky`.

The evaluation holds them out; the model that is shipped has seen some, since its nights begin there.
"""

from dataclasses import replace

import numpy as np

from astrod_drivers.sim import clouds
from astrod_drivers.sim.render import render, zero_electrons
from astrod_drivers.sim.scene import FILTERS, Cloud, Optics, Pointing, Scene, Sensor, Streak, trail
from astrod_models.quality import ISSUES
from training.dataset import DEFOCUSED, TRAILED, WIDE, Drawn
from training.faults import log_uniform, ramp
from training.view import Raw

_PATTERNS = (None, None, None, "RGGB", "GRBG")
_SIZES = ((484, 274), (512, 512), (968, 548), (1936, 1096))


def observed(rng: np.random.Generator, fault: str) -> Drawn:
    """A frame of the simulated observatory with `fault`."""
    scene = _scene(rng)
    if fault in ("seeing", "glare", "leak", "dew"):  # the simulated observatory knows no such faults
        fault = "good"
    wanted = (fault,) if fault != "several" else ("clouds", "streak")
    labels = dict.fromkeys(ISSUES, 0.0)
    if "trailing" in wanted:
        scene, labels["trailing"] = _trailed(rng, scene)
    if "defocus" in wanted:
        scene, labels["defocus"] = _defocused(rng, scene)
    if "clouds" in wanted:
        scene, labels["clouds"] = _clouded(rng, scene)
    if "streak" in wanted:
        scene, labels["streak"] = _streaked(rng, scene)
    if "defocus" not in wanted:
        labels["seeing"] = ramp(_fwhm(scene) / (2.0 if scene.sensor.bayer else 1.0), *WIDE)
    return Raw(render(scene), scene.sensor.bayer).drawn(labels)


_REHEARSED = 0.3
"""How many frames are like those of a rehearsed night on the small sensor: few pixels, each as wide as the seeing."""


def _scene(rng: np.random.Generator) -> Scene:
    """A good exposure: any place on the sky, telescope, camera, filter and length."""
    scene = _any_scene(rng)
    if rng.random() > _REHEARSED:
        return scene
    small = Sensor(484, 274, 11.6, bayer=scene.sensor.bayer, seed=scene.sensor.seed)
    return replace(scene, sensor=small, optics=Optics())


def _any_scene(rng: np.random.Generator) -> Scene:
    width, height = _SIZES[int(rng.choice(len(_SIZES), p=[0.4, 0.35, 0.2, 0.05]))]
    focal = log_uniform(rng, 150.0, 900.0)
    ratio = rng.uniform(3.0, 8.0)
    sensor = Sensor(
        width_px=width,
        height_px=height,
        pixel_um=float(rng.choice([2.4, 2.9, 3.76, 5.4])),
        bayer=_PATTERNS[int(rng.integers(len(_PATTERNS)))],
        egain_e_per_adu=log_uniform(rng, 0.1, 1.5),
        adc_bits=int(rng.choice([12, 14, 16])),
        read_noise_e=rng.uniform(1.0, 8.0),
        seed=int(rng.integers(1000)),
    )
    optics = Optics(focal, focal / ratio, float(rng.choice([0.0, 0.3, 0.45])), 0.6, rng.uniform(0.0, 0.4))
    place = Pointing(ra_deg=rng.uniform(0.0, 360.0), dec_deg=float(np.rad2deg(np.arcsin(rng.uniform(-0.9, 0.97)))))
    return Scene(
        seed=int(rng.integers(1 << 30)),
        exposure_s=log_uniform(rng, 15.0, 300.0),
        pointings=(place,),
        altitude_deg=rng.uniform(28.0, 88.0),
        azimuth_deg=rng.uniform(0.0, 360.0),
        filter=FILTERS[str(rng.choice(["L", "L", "R", "G", "B", "Ha"]))],
        optics=optics,
        sensor=sensor,
        seeing_arcsec=rng.uniform(1.5, 4.5),
        jitter_arcsec=rng.uniform(0.1, 0.8),
        sky_mag_arcsec2=rng.uniform(17.5, 21.8),
        temperature_c=rng.uniform(-15.0, 15.0),
    )


def _fwhm(scene: Scene) -> float:
    """In focus, pixels, not under what a pixel can tell."""
    blur = np.hypot(scene.seeing_arcsec, 2.355 * scene.jitter_arcsec)
    return float(max(1.2, blur / scene.scale_arcsec))


def _trailed(rng: np.random.Generator, scene: Scene) -> tuple[Scene, float]:
    fwhm = _fwhm(scene)
    length = max(fwhm * log_uniform(rng, 1.8, 9.0), 4.0) if rng.random() < 0.8 else fwhm * rng.uniform(0.3, 1.2)
    place = scene.pointings[0]
    angle = rng.uniform(0.0, 180.0)
    track = trail(place.ra_deg, place.dec_deg, min(length, 60.0) * scene.scale_arcsec, angle)
    stretch = np.sqrt(1.0 + min(length, 60.0) ** 2 / 12.0 / (fwhm / 2.355) ** 2)
    return replace(scene, pointings=track), ramp(float(stretch), *TRAILED)


def _defocused(rng: np.random.Generator, scene: Scene) -> tuple[Scene, float]:
    fwhm = _fwhm(scene)
    diameter = max(fwhm * log_uniform(rng, 2.2, 10.0), 6.0) if rng.random() < 0.8 else fwhm * rng.uniform(0.3, 1.2)
    diameter = min(diameter, 60.0)
    distance = diameter * scene.sensor.pixel_um * scene.optics.focal_ratio
    added = diameter**2 * (1.0 + scene.optics.obstruction**2) / 16.0
    widening = np.sqrt(1.0 + added / (fwhm / 2.355) ** 2)
    return replace(scene, defocus_um=distance), ramp(float(widening), *DEFOCUSED)


def _clouded(rng: np.random.Generator, scene: Scene) -> tuple[Scene, float]:
    cloud = Cloud(
        cover=rng.uniform(0.2, 1.0),
        thickness_mag=log_uniform(rng, 0.5, 8.0),
        height_m=rng.uniform(1500.0, 8000.0),
        offset_m=(rng.uniform(-1e5, 1e5), rng.uniform(-1e5, 1e5)),
        seed=int(rng.integers(1 << 20)),
    )
    scene = replace(scene, cloud=cloud, town_light=rng.uniform(0.0, 3.0))
    fov_deg = tuple(side * scene.scale_arcsec / 3600.0 for side in (scene.sensor.width_px, scene.sensor.height_px))
    passes = clouds.transmission(
        cloud, scene.altitude_deg, scene.azimuth_deg, (fov_deg[0], fov_deg[1]), scene.exposure_s
    )
    return scene, ramp(1.0 - float(np.mean(passes)), 0.2, 0.5)


def _streaked(rng: np.random.Generator, scene: Scene) -> tuple[Scene, float]:
    side = rng.random(4)
    ends = (-0.1, side[0], 1.1, side[1]) if side[2] < 0.5 else (side[0], -0.1, side[1], 1.1)
    streak = Streak(
        x0=float(ends[0]),
        y0=float(ends[1]),
        x1=float(ends[2]),
        y1=float(ends[3]),
        mag=rng.uniform(-1.0, 7.0),
        rate_arcsec_s=log_uniform(rng, 300.0, 3000.0),
        tumble=float(rng.choice([0.0, 0.0, 0.7])),
    )
    per_pixel = zero_electrons(scene) / scene.exposure_s * 10.0 ** (-0.4 * streak.mag) * scene.scale_arcsec
    peak = per_pixel / streak.rate_arcsec_s / (1.06 * _fwhm(scene))
    sky = zero_electrons(scene) * 10.0 ** (-0.4 * scene.sky_mag_arcsec2) * scene.scale_arcsec**2
    height = peak / np.sqrt(sky + scene.sensor.read_noise_e**2 + 1.0)
    seen = height * np.sqrt(0.8 * scene.sensor.height_px * _fwhm(scene))
    return replace(scene, events=(streak,)), ramp(float(np.log10(max(seen, 1e-3))), 1.35, 1.7)
