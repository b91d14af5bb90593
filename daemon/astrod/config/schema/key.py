"""What a key and a table of the configuration are, and how the schema is read by what is generated from it."""

import re
from collections.abc import Iterator
from typing import Annotated, Any, Literal, get_args, get_origin

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, JsonValue
from pydantic.fields import FieldInfo

from astrod_drivers.address import parse
from astrod_drivers.errors import AddressInvalid

When = Literal["live", "restart"]
Quantity = Literal[
    "temperature_c",
    "humidity_percent",
    "dew_point_c",
    "pressure_hpa",
    "wind_m_s",
    "gust_m_s",
    "rain_mm_h",
    "cloud_percent",
    "sky_temperature_c",
    "sky_brightness_mag",
    "mains",
    "battery_percent",
    "clock_error_s",
    "disk_free_gb",
    "internet",
]
"""What a source may measure: the canonical names of `astrod_drivers.protocols.WeatherReading`, `mains` and `internet`
being 1 or 0, and what the host's own sources tell (`astrod.rig.safety.sources`).
"""

DeviceKind = Literal[
    "mount", "camera", "focuser", "wheel", "rotator", "roof", "cover", "switch", "weather", "safety_monitor", "guider"
]
"""The kinds of device that may be lost; `astrod_drivers.protocols.KINDS`."""

Bayer = Literal["RGGB", "BGGR", "GRBG", "GBRG", "mono"]
NAME = r"^[a-z][a-z0-9_]{0,31}$"

_GUIDER = ("phd2", "sim")


_OWN = re.compile(
    r"^(astrod://(clock|disk)|astrod://watch/[a-z][a-z0-9_]{0,31}|astrod://internet/[^/:\s]+:\d{1,5}"
    r"|nut://[^/:\s]+(:\d{1,5})?/\S+)$"
)


def _source(text: str) -> str:
    if text.startswith(("astrod://", "nut://")) and not _OWN.match(text):
        raise ValueError(
            "is nothing of the host; there are astrod://clock, astrod://disk, astrod://watch/NAME,"
            " astrod://internet/HOST:PORT, nut://HOST/UPS"
        )
    return text if _OWN.match(text) else _address(text)


def _perhaps_named(text: str) -> str:
    return _outlet(text) if "#" in text else _address(text)


def _address(text: str) -> str:
    try:
        parse(text)
    except AddressInvalid as fault:
        raise ValueError(str(fault).removeprefix(repr(text)).lstrip(": ")) from fault
    return text


def _outlet(text: str) -> str:
    address, mark, name = text.rpartition("#")
    if not mark or not name.strip():
        raise ValueError("names no outlet; write the switch's address, then # and the outlet's name")
    _address(address)
    return text


Address = Annotated[str, AfterValidator(_address)]
SourceAddress = Annotated[str, AfterValidator(_source)]
"""A device, or something of the host itself: astrod://clock, astrod://disk, astrod://internet/HOST:PORT, what a
[[watch]] sees of clouds, astrod://watch/NAME, or a UPS at a NUT server, nut://HOST/UPS.
"""
Outlet = Annotated[str, AfterValidator(_outlet)]
"""An outlet of a switch: its address, `#`, the outlet's name."""
Named = Annotated[str, AfterValidator(_perhaps_named)]
"""A device, or something of it by name: `ADDRESS` or `ADDRESS#NAME`."""

POWER = (
    "The outlet that powers it, as the switch's address, # and the outlet's name; recovery may switch it off and on."
)


def _guider_address(text: str) -> str:
    if parse(_address(text)).scheme not in _GUIDER:
        raise ValueError("is no guider's address; write phd2://HOST:PORT, or give a guide camera instead")
    return text


_FILES = ("picture://", "folder://", "video://", "v4l2://")


def _watched(text: str) -> str:
    scheme, _, rest = text.partition("://")
    if scheme == "rtsp" and rest:
        return text
    if text.startswith(_FILES):
        if not rest.startswith("/"):
            raise ValueError(f"names no absolute path; write {scheme}:///PATH, with three slashes")
        return text
    return _address(text)


WatchedAddress = Annotated[str, AfterValidator(_watched)]
"""What a watch looks at: a camera's address, picture:///PATH (a file that another program writes over and over),
folder:///PATH (the newest picture or stack in it), video:///PATH, v4l2:///dev/videoN or rtsp://….
"""
GuiderAddress = Annotated[str, AfterValidator(_guider_address)]


def key(default: Any, doc: str, *, when: When, example: Any = None, shown: bool = False, **bounds: Any) -> Any:
    """A key of the configuration.

    `default` `...` makes it required. `example` is what `etc/astrod.toml` shows where there is no default.
    `shown` keys stand uncommented in `etc/astrod.toml`. `bounds` are pydantic's (ge, le, gt, lt, pattern…).
    """
    extra = {"when": when, "example": example, "shown": shown or default is ...}
    return Field(default, description=doc, json_schema_extra=extra, **bounds)


def section(doc: str, *, factory: type[BaseModel] | None = None, shown: bool = False) -> Any:
    """A table of the configuration. Without a `factory` an absent one is None."""
    extra: dict[str, JsonValue] = {"shown": shown}
    if factory is not None:
        return Field(default_factory=factory, description=doc, json_schema_extra=extra)
    return Field(None, description=doc, json_schema_extra=extra)


def sections(doc: str, *, shown: bool = False, least: int = 0) -> Any:
    """A list of tables, `least` of them at least."""
    extra: dict[str, JsonValue] = {"shown": shown}
    if least:
        return Field(..., min_length=least, description=doc, json_schema_extra=extra)
    return Field(default_factory=list, description=doc, json_schema_extra=extra)


class Section(BaseModel):
    """A table of the configuration: strict types, no key that is not declared."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True, allow_inf_nan=False)


# -- reading the schema itself -------------------------------------------------------------------------------


def extra_of(info: FieldInfo) -> dict[str, Any]:
    """What `key` and `section` noted beside pydantic's own: when, example, shown."""
    extra = info.json_schema_extra
    return dict(extra) if isinstance(extra, dict) else {}


def table_of(info: FieldInfo) -> type[BaseModel] | None:
    """The table that a field holds (alone, optional, or in a list), None for a plain value."""
    for kind in _unwrapped(info.annotation):
        if isinstance(kind, type) and issubclass(kind, BaseModel):
            return kind
    return None


def is_list(info: FieldInfo) -> bool:
    """Whether a field holds a list."""
    return get_origin(info.annotation) is list


def options(info: FieldInfo) -> list[str]:
    """The texts that a field allows, where it allows only some."""
    literals = [kind for kind in _unwrapped(info.annotation) if get_origin(kind) is Literal]
    return [str(option) for kind in literals for option in get_args(kind)]


def bounds_text(info: FieldInfo) -> str:
    """The range of a number: `-90..90`, `over 0, up to 1800`, or nothing."""
    bounds = {name: getattr(m, name) for m in info.metadata for name in _BOUNDS if hasattr(m, name)}
    if "ge" in bounds and "le" in bounds:
        return f"{bounds['ge']}..{bounds['le']}"
    return ", ".join(form.format(bounds[name]) for name, form in _BOUNDS.items() if name in bounds)


_BOUNDS = {"ge": "{} or more", "gt": "over {}", "le": "up to {}", "lt": "under {}"}


def _unwrapped(annotation: Any) -> Iterator[Any]:
    """An annotation and all that is inside it."""
    yield annotation
    if get_origin(annotation) is not Literal:
        for inner in get_args(annotation):
            yield from _unwrapped(inner)
