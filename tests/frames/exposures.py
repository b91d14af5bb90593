"""Exposures for the tests of this folder."""

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from astrod.domain.exposure import FrameKind, Intent
from astrod.domain.identity import ExposureId, Night
from astrod.domain.instant import SECOND_US, parse_iso
from astrod.domain.site import Place
from astrod.frames.header import FrameFacts

NIGHT = Night.parse("2026-12-14")
PUJALT = Place(41.7167, 1.4333, 765.0)
STARTED_US = parse_iso("2026-12-14T22:01:05.123456")


def exposure_of(
    counter: int = 1,
    kind: FrameKind = "light",
    target: str | None = "M 42",
    *,
    sky: bool = True,
    filter: str | None = "L",  # noqa: A002 - the field's own word
) -> FrameFacts:
    """A five-minute exposure with most facts known; `sky` False is one that points nowhere."""
    intent = Intent(
        ExposureId("pujalt", NIGHT, counter),
        kind,
        "main",
        "newton",
        300.0,
        83.822 if sky else None,
        -5.391 if sky else None,
        target=target,
        request="M 42/1" if sky else None,
        filter=filter,
    )
    return FrameFacts(
        intent,
        PUJALT,
        STARTED_US + counter * 301 * SECOND_US,
        300.0,
        site_title="Observatori de Pujalt",
        started_error_us=3000,
        time_source="chrony",
        time_error_us=4000,
        focal_length_mm=500.0,
        aperture_mm=100.0,
        camera="CCD Simulator",
        pixel_um=4.0,
        gain=100.0,
        egain_e_per_adu=0.25,
        offset=10.0,
        set_temperature_c=-10.0,
        temperature_c=-9.8,
        pier_side="west" if sky else None,
        weather={"temperature_c": 4.2, "humidity_percent": 55.0},
    )


def noise(seed: int = 1, shape: tuple[int, int] = (48, 64)) -> NDArray[np.uint16]:
    """Pixels over the whole range of 16 bits."""
    return np.random.default_rng(seed).integers(0, 65536, shape, dtype=np.uint16)


def spooled(folder: Path, pixels: NDArray[np.uint16]) -> Path:
    """The pixels as a driver leaves them."""
    path = folder / "spooled.npy"
    np.save(path, pixels)
    return path
