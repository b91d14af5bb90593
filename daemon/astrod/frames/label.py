"""What a frame's header says of how it was taken and where it looks; made for headers of any program.

Nothing here is believed blindly: a value that cannot be is left out. Pixels are not read.
"""

import re
import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from astrod.domain.setup import Setup, SetupKind
from astrod.errors import InputInvalid
from astrod.frames.image import Fact, bayer_of

_KINDS = ("IMAGETYP", "IMGTYPE", "IMTYPE", "FRAMETYP", "FRAME", "OBSTYPE", "PICTTYPE")
_PICTTYPES: Mapping[str, SetupKind] = {"1": "light", "2": "bias", "3": "dark", "4": "flat"}  # SBIG's numbers
_SECTION = re.compile(r"^\[\s*(\d+)\s*:\s*(\d+)\s*,\s*(\d+)\s*:\s*(\d+)\s*\]$")
_ANGLE = re.compile(r"^([+-]?)\s*(\d+)[\s:hd°]+(\d+)[\s:m']+(\d+(?:\.\d+)?)\s*[s\"]?$")
_ARCSEC_PER_RADIAN = 206264.80624709636


@dataclass(frozen=True, slots=True)
class Section:
    """A part of the array: rows `top` up to `bottom`, columns `left` up to `right`, as Python slices count."""

    top: int
    bottom: int
    left: int
    right: int


@dataclass(frozen=True, slots=True)
class Sensor:
    """What the header says of the sensor; None where it does not. Electrons per ADU, electrons, ADU."""

    gain_e_adu: float | None = None
    read_noise_e: float | None = None
    saturation_adu: float | None = None


@dataclass(frozen=True, slots=True)
class Label:
    """One frame's label.

    `kind` is None where the header tells none. `combined` is of how many frames it was made, 1 for a raw one.
    `overscan` and `image` are parts of the array. `ra_deg`, `dec_deg` are where it should look, `scale_arcsec_px` how
    much of the sky a pixel should see.
    """

    path: Path
    kind: SetupKind | None
    setup: Setup
    sensor: Sensor
    combined: int = 1
    overscan: Section | None = None
    image: Section | None = None
    ra_deg: float | None = None
    dec_deg: float | None = None
    scale_arcsec_px: float | None = None
    target: str | None = None
    date: str | None = None
    calibrated: bool = False


def read_label(path: Path) -> Label:
    """The label of a FITS or `.npy` file. Raises InputInvalid for what is neither or holds no 2-D image."""
    try:
        with path.open("rb") as file:
            start = file.read(6)
    except OSError as fault:
        raise InputInvalid(f"{path}: cannot be read: {fault.strerror or fault}") from fault
    if start == b"\x93NUMPY":
        return _npy_label(path)
    from astropy.io import fits  # costs 0.3 s: only those who read FITS pay it

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            with fits.open(path, memmap=True, lazy_load_hdus=True) as hdus:
                first = hdus[0].header
                for hdu in hdus:
                    shape = hdu.shape if hdu.is_image and hdu.header.get("NAXIS", 0) >= 2 else ()
                    if shape:
                        return label_of(path, plain_facts(first) | plain_facts(hdu.header), shape[-2:])
        except (OSError, ValueError, TypeError, IndexError, KeyError, EOFError, fits.VerifyError) as fault:
            raise InputInvalid(f"{path}: not FITS, or cut short or damaged ({fault})") from fault
    raise InputInvalid(f"{path}: holds no image; give a frame, not a table or an empty header")


def _npy_label(path: Path) -> Label:
    import numpy as np

    try:
        shape = np.load(path, mmap_mode="r", allow_pickle=False).shape
    except (ValueError, EOFError, OSError) as fault:
        raise InputInvalid(f"{path}: .npy data cut short or not plain numbers: {fault}") from fault
    if len(shape) < 2:
        raise InputInvalid(f"{path}: {len(shape)}-D data; give single 2-D frames")
    return label_of(path, {}, shape[-2:])


def plain_facts(header: "object") -> dict[str, Fact]:
    """A header's plain values by keyword in capitals; comments and what cannot be parsed are left out."""
    facts: dict[str, Fact] = {}
    for card in header.cards:  # type: ignore[attr-defined]  # astropy has no type information
        name, value = str(card.keyword).upper(), card.value
        if name and name not in ("COMMENT", "HISTORY") and isinstance(value, (str, int, float, bool)):
            facts[name] = value.strip() if isinstance(value, str) else value
    return facts


def label_of(path: Path, facts: Mapping[str, Fact], shape: tuple[int, int]) -> Label:
    """The label that these facts make, of an array of that shape (rows, columns)."""
    rows, columns = int(shape[0]), int(shape[1])
    kind, combined = _kind(facts)
    place = _place(facts)
    bayer = bayer_of(facts)
    return Label(
        path=path,
        kind=kind,
        setup=Setup(
            rows,
            columns,
            camera=_text(facts, ("INSTRUME", "CAMERA", "DETECTOR")),
            binning=_binning(facts),
            gain=_number(facts, ("GAIN", "ISO", "ISOSPEED")),
            offset=_number(facts, ("OFFSET", "BLKLEVEL", "BLACKLEV")),
            exposure_s=_at_least(_number(facts, ("EXPTIME", "EXPOSURE", "EXP_TIME")), 0.0),
            temperature_c=_temperature_c(facts),
            filter=None if bayer and _text(facts, ("FILTER",)) == bayer else _text(facts, ("FILTER", "FILTER1")),
            bayer=bayer,
            readout=_text(facts, ("READOUTM", "READMODE")),
            telescope=_text(facts, ("TELESCOP",)),
            rotation_deg=_number(facts, ("ROTATANG",)),
        ),
        sensor=_sensor(facts),
        combined=combined,
        overscan=_section(facts.get("BIASSEC"), rows, columns),
        image=_section(facts.get("TRIMSEC"), rows, columns),
        ra_deg=place[0] if place else None,
        dec_deg=place[1] if place else None,
        scale_arcsec_px=_scale(facts),
        target=_text(facts, ("OBJECT", "FIELD")),
        date=_text(facts, ("DATE-OBS",)),
        calibrated=facts.get("ASTRODCL") is True or facts.get("CALSTAT") not in (None, ""),
    )


def _kind(facts: Mapping[str, Fact]) -> tuple[SetupKind | None, int]:
    """The kind of frame, and of how many it is the combination."""
    told = next((str(facts[name]).strip() for name in _KINDS if str(facts.get(name, "")).strip()), "")
    purpose = str(facts.get("PURPOSE", ""))
    word = purpose if purpose in ("flat_dark",) else told.casefold()
    count = next((facts[name] for name in ("NCOMBINE", "STACKCNT", "NFRAMES") if name in facts), None)
    combined = int(count) if isinstance(count, (int, float)) and not isinstance(count, bool) and count > 1 else 1
    if "master" in word:
        combined = max(combined, 2)
    if told in _PICTTYPES:
        return _PICTTYPES[told], combined
    kind: SetupKind | None = None
    if "flat" in word and "dark" in word:
        kind = "flat_dark"
    elif "bias" in word or "zero" in word or word.startswith("offset"):
        kind = "bias"
    elif "dark" in word:
        kind = "dark"
    elif "flat" in word:
        kind = "flat"
    elif any(name in word for name in ("light", "object", "science", "target")):
        kind = "light"
    return kind, combined


def _binning(facts: Mapping[str, Fact]) -> str | None:
    x = _number(facts, ("XBINNING", "CCDXBIN", "BINX"))
    y = _number(facts, ("YBINNING", "CCDYBIN", "BINY")) or x
    if x is not None and y is not None:
        return f"{x:g}x{y:g}"
    told = re.findall(r"\d+", str(facts.get("CCDSUM", "")))
    return f"{int(told[0])}x{int(told[1])}" if len(told) == 2 else None


def _temperature_c(facts: Mapping[str, Fact]) -> float | None:
    """The sensor's temperature in Celsius; headers in kelvin, and texts as `13 C`, are understood."""
    for name in ("CCD-TEMP", "CCDTEMP", "SENSTEMP", "CAMTEMP", "SET-TEMP"):
        value = facts.get(name)
        if isinstance(value, str):
            match = re.match(r"^([+-]?\d+(?:\.\d+)?)\s*°?C?$", value.strip())
            value = float(match.group(1)) if match else None
        if isinstance(value, (int, float)) and not isinstance(value, bool):
            celsius = float(value) - 273.15 if 150.0 < value < 350.0 else float(value)
            if -120.0 <= celsius <= 80.0:
                return celsius
    return None


def _sensor(facts: Mapping[str, Fact]) -> Sensor:
    """GAIN is a setting in some headers, electrons per ADU in others: it is believed as that only where the read noise
    stands beside it and no other keyword tells.
    """
    read_noise = _at_least(_number(facts, ("RDNOISE", "READNOIS", "RON", "ENOISE")), 0.0)
    gain = _above(_number(facts, ("EGAIN", "GAIN_E", "CCDGAIN")), 0.0)
    if gain is None and read_noise is not None:
        gain = _above(_number(facts, ("GAIN",)), 0.0)
    if gain is not None and gain > 50.0:
        gain = None
    return Sensor(gain, read_noise, _above(_number(facts, ("SATURATE", "SATLEVEL", "DATAMAX")), 0.0))


def _section(value: Fact | None, rows: int, columns: int) -> Section | None:
    """A section as IRAF writes it, `[x1:x2,y1:y2]`, 1 the first, both ends in; None where it is none of this array."""
    match = _SECTION.match(str(value).strip()) if value is not None else None
    if match is None:
        return None
    x1, x2, y1, y2 = (int(number) for number in match.groups())
    if not (1 <= x1 <= x2 <= columns and 1 <= y1 <= y2 <= rows):
        return None
    return Section(y1 - 1, y2, x1 - 1, x2)


def _place(facts: Mapping[str, Fact]) -> tuple[float, float] | None:
    """Where the frame should look, ICRS degrees: a solved WCS, else the mount's or the target's place."""
    pairs = (("CRVAL1", "CRVAL2"), ("OBJCTRA", "OBJCTDEC"), ("RA", "DEC"), ("RA_MNT", "DEC_MNT"), ("RA-MNT", "DEC-MNT"))
    for ra_name, dec_name in (*pairs, ("TELRA", "TELDEC"), ("FIELD_RA", "FIELD_DEC")):
        if ra_name == "CRVAL1" and not str(facts.get("CTYPE1", "")).startswith("RA"):
            continue
        ra, dec = _angle(facts.get(ra_name), hours=True), _angle(facts.get(dec_name), hours=False)
        if ra is not None and dec is not None and 0.0 <= ra < 360.0 and abs(dec) <= 90.0:
            return ra, dec
    return None


def _angle(value: Fact | None, hours: bool) -> float | None:
    """Degrees: numbers are degrees, sexagesimal right ascensions hours."""
    if isinstance(value, bool) or value is None:
        return None
    if isinstance(value, (int, float)):
        return float(value)
    match = _ANGLE.match(value.strip())
    if match is None:
        try:
            return float(value)
        except ValueError:
            return None
    sign, whole, minutes, seconds = match.groups()
    size = int(whole) + int(minutes) / 60.0 + float(seconds) / 3600.0
    return (-size if sign == "-" else size) * (15.0 if hours else 1.0)


def _scale(facts: Mapping[str, Fact]) -> float | None:
    """Arcseconds per pixel: of the WCS, else told, else of pixel and focal length."""
    matrix = [_number(facts, (name,)) for name in ("CD1_1", "CD1_2", "CD2_1", "CD2_2")]
    if all(value is not None for value in matrix):
        a, b, c, d = (value or 0.0 for value in matrix)
        if a * d != b * c:
            return float(abs(a * d - b * c) ** 0.5 * 3600.0)
    told = _above(_number(facts, ("SCALE", "PIXSCALE", "SECPIX", "SECPIX1", "IM_SCALE")), 0.01)
    if told is not None:
        return told
    pixel_um, focal_mm = _above(_number(facts, ("XPIXSZ", "PIXSIZE1")), 0.1), _above(_number(facts, ("FOCALLEN",)), 1.0)
    return None if pixel_um is None or focal_mm is None else pixel_um / 1000.0 / focal_mm * _ARCSEC_PER_RADIAN


def _text(facts: Mapping[str, Fact], names: tuple[str, ...]) -> str | None:
    return next((text for name in names if (text := str(facts.get(name, "")).strip())), None)


def _number(facts: Mapping[str, Fact], names: tuple[str, ...]) -> float | None:
    """The first finite number under these names; numbers written as text are understood."""
    for name in names:
        value = facts.get(name)
        if isinstance(value, bool) or value is None:
            continue
        try:
            number = float(value)
        except ValueError:
            continue
        if number == number and abs(number) != float("inf"):
            return number
    return None


def _above(value: float | None, least: float) -> float | None:
    return value if value is not None and value > least else None


def _at_least(value: float | None, least: float) -> float | None:
    return value if value is not None and value >= least else None
