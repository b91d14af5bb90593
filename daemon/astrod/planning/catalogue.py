"""Names of celestial objects to places on the sky, with no network.

Deep-sky objects come from OpenNGC (CC-BY-SA-4.0) through the package pyongc: NGC, IC, Messier, Caldwell,
Barnard and its other identifiers, and common names. Bright stars come from our own `stars.toml`.
"""

import difflib
import tomllib
from dataclasses import dataclass
from functools import cache
from importlib import resources
from math import degrees

from pyongc import exceptions, ongc

from astrod.errors import InputInvalid

_LIKELY = 0.6
_NEAREST = 3


@dataclass(frozen=True, slots=True)
class Entry:
    """An object of the catalogue. ICRS degrees; stars at epoch J2000. `magnitude` is V, else B."""

    name: str
    ra_deg: float
    dec_deg: float
    kind: str
    magnitude: float | None


def _folded(name: str) -> str:
    """The name as it is compared: letters, digits and signs only, in one case."""
    plain = name.casefold().removeprefix("the ")
    return "".join(sign for sign in plain if sign.isalnum() or sign in "+-")


@cache
def _stars() -> dict[str, Entry]:
    text = resources.files("astrod.planning").joinpath("stars.toml").read_text(encoding="utf-8")
    rows: dict[str, dict[str, float]] = tomllib.loads(text)["stars"]
    return {
        _folded(name): Entry(name, row["ra_deg"], row["dec_deg"], "Star", row["magnitude"])
        for name, row in rows.items()
    }


def _entry(found: ongc.Dso) -> Entry | None:
    """The catalogue's object as an entry; None for one that has no place (OpenNGC keeps lost objects)."""
    place = found.rad_coords
    if place is None:
        return None
    blue, visual, *_ = found.magnitudes
    return Entry(
        name=found.name,
        ra_deg=degrees(float(place[0])) % 360.0,
        dec_deg=degrees(float(place[1])),
        kind=found.type,
        magnitude=blue if visual is None else visual,
    )


@cache
def _common_names() -> dict[str, tuple[str, Entry]]:
    """Folded common name to the name as written and its entry."""
    names: dict[str, tuple[str, Entry]] = {}
    for found in ongc.listObjects(withname=True):
        entry = _entry(found)
        if entry is not None:
            names.update({_folded(name): (name, entry) for name in found.identifiers[3]})
    return names


def _by_identifier(name: str) -> Entry | None:
    """The entry of a catalogue number such as `m 31` or `NGC0224`; None when there is none."""
    try:
        return _entry(ongc.Dso(" ".join(name.split())))
    except (exceptions.UnknownIdentifier, exceptions.ObjectNotFound):
        return None


def _known_names() -> dict[str, str]:
    """Folded name to the name as written: what an unknown name is compared with."""
    messier = {f"m{number}": f"M{number}" for number in range(1, 111)}
    stars = {key: entry.name for key, entry in _stars().items()}
    return messier | {key: written for key, (written, _) in _common_names().items()} | stars


def _nearest(name: str) -> list[str]:
    known = _known_names()
    keys = difflib.get_close_matches(_folded(name), sorted(known), n=_NEAREST, cutoff=_LIKELY)
    return [known[key] for key in keys]


def resolve(name: str) -> Entry:
    """The place of a named object, whatever its case and spacing.

    Raises InputInvalid, naming the nearest names known, when there is none.
    """
    key = _folded(name)
    star = _stars().get(key)
    if star is not None:
        return star
    entry = _by_identifier(name.strip())
    if entry is not None:
        return entry
    common = _common_names().get(key)
    if common is not None:
        return common[1]
    near = _nearest(name)
    hint = f"did you mean {' or '.join(near)}?" if near else "no known name is near it."
    raise InputInvalid(f"no object is called {name!r}; {hint} Or give ra_deg and dec_deg (ICRS) yourself.")
