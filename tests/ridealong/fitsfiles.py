"""FITS files as capture programs write them."""

import io
from pathlib import Path
from typing import Any

import numpy as np
from astropy.io import fits

from astrod_drivers.sim.render import render
from astrod_drivers.sim.scene import Optics, Scene, Sensor

CLEAR = Scene(
    sensor=Sensor(width_px=484, height_px=274),
    optics=Optics(focal_length_mm=300.0, aperture_mm=75.0, obstruction=0.35),
    exposure_s=60.0,
)


def fits_bytes(pixels: "np.ndarray[Any, Any]", **cards: Any) -> bytes:
    """A FITS file of these pixels and header cards (a `_` in a name is a `-`)."""
    hdu = fits.PrimaryHDU(np.asarray(pixels, dtype=np.uint16))
    for name, value in cards.items():
        hdu.header[name.replace("_", "-")] = value
    file = io.BytesIO()
    hdu.writeto(file)
    return file.getvalue()


def light(scene: Scene = CLEAR, at: str = "2026-12-14T22:00:00", **cards: Any) -> bytes:
    """A light frame of the simulated sky, as of Ekos at Pujalt."""
    told = {"IMAGETYP": "Light Frame", "DATE_OBS": at, "EXPTIME": scene.exposure_s, "OBJECT": "M 31", "FILTER": "L"}
    return fits_bytes(render(scene), **told, **cards)


def save(path: Path, content: bytes) -> Path:
    """Write a file."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    return path
