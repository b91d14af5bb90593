"""What the dice of a soak draw: an observatory, a night, its weather, its requests and what goes wrong.

`draw` is a pure function of the seed and the night's number: the same lot on any machine, whatever was played
before it.
"""

import json
import random
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import date, timedelta
from functools import lru_cache
from itertools import product
from pathlib import Path
from typing import get_args

from astrod.domain.darkness import dark_time
from astrod.domain.identity import Night, noon_us
from astrod.domain.instant import DAY_US, HOUR_US, iso
from astrod.domain.site import Darkness, MountKind, Place
from astrod.domain.sphere import sun_altitude_deg
from astrod.rehearsal.observatory import Weather
from astrod.rehearsal.sites import SITES
from astrod.rehearsal.targets import Wish, document
from astrod_drivers.sim.faults import CATALOGUE, Fault, Phase, Until

SMALL_PX = 484, 274, 11.6
FULL_PX = 1936, 1096, 2.9
FILTERS = "L", "R", "G", "B"
EXPOSURES_S = 30.0, 60.0, 120.0, 180.0, 240.0, 300.0, 480.0, 600.0
HIGHEST_LATITUDE_DEG = 69.0
"""North of it the winter's night has no noon to begin at."""
FIRST_DAY = date(2026, 1, 1)
DAYS = 730
_WHOLE = 0.05
"""The share of nights that last until dawn. The others end earlier by the operator's wish: what goes wrong mostly
does where something begins or ends, and their time is worth more."""
_HOURS = 0.8, 2.2
_CALM_HOURS = 1.6, 3.2
"""Longer where nothing goes wrong: what a night's first pointing and focusing cost is paid once, however long it is."""
_DARK_US = 3 * HOUR_US // 2
"""What a night in which something goes wrong has of the dark, at least."""


@dataclass(frozen=True, slots=True)
class Shape:
    """What an observatory is made of. `clears`: its roof moves over mounts wherever they point."""

    roof: bool = True
    clears: bool = False
    rigs: int = 1
    kind: MountKind = "equatorial"
    cooler: bool = True
    wheel: bool = True
    focuser: bool = True


@dataclass(frozen=True, slots=True)
class Lot:
    """One night of a soak. `hours` after dusk its operator wants it to end; None: at dawn."""

    seed: int
    number: int
    name: str
    place: Place
    seeing_arcsec: float
    night: Night
    sky_seed: int
    weather: Weather
    shape: Shape
    wishes: tuple[Wish, ...]
    hours: float | None = None
    faults: tuple[Fault, ...] = ()
    small: bool = True

    @property
    def recoverable(self) -> bool:
        """Whether every fault ends, or can be ended by the daemon."""
        return all(fault.ends not in ("never", "power") for fault in self.faults)


def draw(seed: int, number: int, full_size_every: int = 50, faults: bool = True) -> Lot:
    """The night of that number. `full_size_every` 0: none has a full-size sensor. With `faults`, two nights of three
    have some.
    """
    dice = random.Random(f"{seed}/{number}")
    name, place, seeing_arcsec = _place(dice)
    night = Night(FIRST_DAY + timedelta(days=dice.randrange(DAYS)))
    cells = _cells(seed, number) if faults else ()
    while cells and not _gets_dark(place, night):  # what goes wrong in the dark needs some
        name, place, seeing_arcsec = _place(dice)
    shape = _fit(_shape(dice), cells)
    restless = any(_goes_about(cell) for cell in cells)
    hours = _HOURS if cells else _CALM_HOURS
    return Lot(
        seed=seed,
        number=number,
        name=name,
        place=place,
        seeing_arcsec=seeing_arcsec,
        night=night,
        sky_seed=dice.randrange(2**31),
        weather=dice.choices(("clear", "mixed", "cloudy"), (3, 2, 1))[0],
        shape=shape,
        wishes=_wishes(dice, shape, restless),
        hours=None if dice.random() < _WHOLE and not restless else round(dice.uniform(*hours), 2),
        faults=tuple(
            _fault(random.Random(f"{seed}/{number}/{cell}"), cell, shape, last=_is_last(cell, cells)) for cell in cells
        ),
        small=not (full_size_every and number % full_size_every == full_size_every - 1),
    )


def _place(dice: random.Random) -> tuple[str, Place, float]:
    """A real observatory's, or any on Earth where nights have noons."""
    if dice.random() < 0.6:
        known = dice.choice(SITES)
        return known.name, known.place, known.seeing_arcsec
    latitude = round(dice.uniform(-HIGHEST_LATITUDE_DEG, HIGHEST_LATITUDE_DEG), 3)
    place = Place(latitude, round(dice.uniform(-180.0, 180.0), 3), round(dice.uniform(0.0, 3000.0)))
    return "anywhere", place, round(dice.uniform(0.8, 3.5), 1)


def _gets_dark(place: Place, night: Night) -> bool:
    """Whether it is dark so long before its midnight, and so long after."""
    midnight_us, limit_deg = noon_us(night, place.longitude_deg) + DAY_US // 2, Darkness().observe_below_deg
    instants = (midnight_us - _DARK_US // 2, midnight_us + _DARK_US // 2)
    return all(sun_altitude_deg(at_us, place.latitude_deg, place.longitude_deg) < limit_deg for at_us in instants)


def _shape(dice: random.Random) -> Shape:
    return Shape(
        roof=dice.random() < 0.9,
        clears=dice.random() < 0.1,
        rigs=2 if dice.random() < 0.1 else 1,
        kind="altaz" if dice.random() < 0.15 else "equatorial",
        cooler=dice.random() < 0.7,
        wheel=dice.random() < 0.7,
        focuser=dice.random() < 0.7,
    )


def _wishes(dice: random.Random, shape: Shape, restless: bool) -> tuple[Wish, ...]:
    """Enough for the longest night, in exposures of several lengths; `restless`: enough for a short one, and so little
    of each object that the mount goes to and fro across the meridian.
    """
    filters: Sequence[str | None] = FILTERS if shape.wheel else (None,)
    if restless:
        count = dice.randrange(8, 13) // len(filters)
        return tuple(Wish(name, 60.0, count) for name in filters)
    return tuple(
        Wish(name, dice.choice(EXPOSURES_S), dice.randrange(8, 25))
        for name in filters
        for _ in range(1 if shape.wheel else 3)
    )


# -- what goes wrong -----------------------------------------------------------------------------------------

Cell = tuple[str, Phase]
"""A kind of fault, and the phase of the night in which it comes."""

_CALM = 3
"""One night in so many has no faults."""
_AT_ONCE = 1, 2, 3
_LASTING = 0.12
_NTH: dict[Phase, int] = {"exposing": 6, "reading_out": 6, "slewing": 3}
"""Up to the how-manieth of a phase that comes often."""
_PHASE_NEEDS: dict[Phase, str] = {
    "opening": "roof",
    "closing": "roof",
    "focusing": "focuser",
    "cooling": "cooler",
}
_IN_TURN: tuple[Phase, ...] = (
    *("idle", "cooling", "opening", "slewing", "flipping", "focusing", "exposing", "reading_out"),
    *("parking", "closing"),
)
"""As a night goes through them: it is idle before it begins."""
_INTO_S: dict[Phase, tuple[float, float]] = {
    "exposing": (0.0, 25.0),
    "idle": (0.0, 450.0),
    "cooling": (35.0, 90.0),  # the roof opens meanwhile, and that is another phase
    "opening": (0.0, 15.0),
    "closing": (0.0, 15.0),
    "slewing": (0.0, 3.0),
    "flipping": (0.0, 3.0),
    "parking": (0.0, 3.0),
}
"""How far into a phase a fault comes, from and to, so that the phase is mostly not over by then (else it waits for the
next); at its beginning where nothing is said."""
_AMOUNTS: dict[str, tuple[float, float]] = {
    "daemon_crash": (2.0, 60.0),
    "power_cut": (60.0, 600.0),
    "clock_step": (0.5, 40.0),
}
"""From and to, evenly in their logarithm; what is not here has its usual amount."""
_MADE: tuple[str, ...] = ("mount", "camera", "focuser", "wheel", "roof", "weather")
"""The kinds of device that a soak's observatories have."""


def kinds() -> tuple[str, ...]:
    """The faults that a soak draws: those of devices it has, the sky's and the host's."""
    return tuple(kind for kind, entry in CATALOGUE.items() if not entry.on or any(on in _MADE for on in entry.on))


def cells() -> tuple[Cell, ...]:
    """Every kind in every phase, but those that cannot meet."""
    return tuple((kind, phase) for kind, phase in product(kinds(), get_args(Phase)))


def _cells(seed: int, number: int) -> tuple[Cell, ...]:
    """The cells of a night, in the order of its phases. They are dealt like cards, so that every one has come before
    any comes again.
    """
    if number % _CALM == 0:
        return ()
    turn = number - 1 - (number - 1) // _CALM  # the nights with faults, counted
    first = sum(_AT_ONCE[k % len(_AT_ONCE)] for k in range(turn % len(_AT_ONCE)))
    first += turn // len(_AT_ONCE) * sum(_AT_ONCE)
    dealt = {_card(seed, first + k) for k in range(_AT_ONCE[turn % len(_AT_ONCE)])}
    return tuple(sorted(dealt, key=lambda cell: (_IN_TURN.index(cell[1]), cell[0])))


def _card(seed: int, number: int) -> Cell:
    """The card of that number: the pack is shuffled anew for each deal."""
    deal, place = divmod(number, len(cells()))
    return _shuffled(seed, deal)[place]


@lru_cache(maxsize=4)
def _shuffled(seed: int, deal: int) -> tuple[Cell, ...]:
    pack = list(cells())
    random.Random(f"{seed}/cells/{deal}").shuffle(pack)
    return tuple(pack)


def _flips(cell: Cell) -> bool:
    """Whether it needs a mount that changes the side of its pier."""
    return cell[0] in ("flip_fails", "pier_lies") or cell[1] == "flipping"


def _goes_about(cell: Cell) -> bool:
    """Whether it needs a mount that goes from object to object."""
    return _flips(cell) or cell[1] == "slewing"


def _is_last(cell: Cell, night: tuple[Cell, ...]) -> bool:
    """Whether no other comes after it; of two in one phase nobody knows."""
    return cell is night[-1] and sum(phase == cell[1] for _, phase in night) == 1


def _fit(shape: Shape, night: tuple[Cell, ...]) -> Shape:
    """The shape with what its faults need."""
    for kind, phase in night:
        needed = {*CATALOGUE[kind].on} if len(CATALOGUE[kind].on) == 1 else set()
        needed |= {_PHASE_NEEDS.get(phase, ""), "cooler" if kind == "cooler_resets" else ""}
        shape = replace(
            shape,
            roof=shape.roof or "roof" in needed,
            clears=shape.clears and phase != "parking",  # else the roof moves at once, and that is another phase
            cooler=shape.cooler or "cooler" in needed,
            wheel=shape.wheel or "wheel" in needed,
            focuser=shape.focuser or "focuser" in needed,
            kind="equatorial" if _flips((kind, phase)) else shape.kind,
        )
    return shape


def _fault(dice: random.Random, cell: Cell, shape: Shape, last: bool) -> Fault:
    """A fault for a cell; only the `last` of a night may be for good, lest those after it never come."""
    kind, phase = cell
    entry = CATALOGUE[kind]
    made = {
        "mount": True,
        "camera": True,
        "weather": True,
        "roof": shape.roof,
        "focuser": shape.focuser,
        "wheel": shape.wheel,
    }
    there = [name for name in entry.on if made.get(name)]
    until, lasts_s = _end(dice, kind, last)
    return Fault(
        kind=kind,
        device=dice.choice(there) if there else "",
        when=phase,
        nth=dice.randrange(1, _NTH[phase] + 1) if phase in _NTH else 1,
        after_s=round(dice.uniform(*_INTO_S.get(phase, (0.0, 0.0))), 1),
        within=True,
        lasts_s=lasts_s,
        until=until,
        mode=dice.choice(entry.modes) if entry.modes else "",
        amount=_amount(dice, kind),
    )


def _amount(dice: random.Random, kind: str) -> float | None:
    if kind not in _AMOUNTS:
        return None
    least, most = _AMOUNTS[kind]
    amount: float = round(least * (most / least) ** dice.random(), 1)
    return -amount if kind == "clock_step" and dice.random() < 0.5 else amount


def _end(dice: random.Random, kind: str, last: bool) -> tuple[Until | None, float]:
    """What ends it, and after how long: mostly the cure that is usual, or some time; seldom nothing."""
    entry = CATALOGUE[kind]
    if entry.once:
        return None, 0.0
    if last and entry.on and dice.random() < _LASTING:
        return "never", 0.0
    if entry.until in ("reconnect", "restart") and dice.random() < 0.7:
        return entry.until, 0.0
    return "time", round(10.0 ** dice.uniform(1.3, 3.3), 0)


# -- the configuration ---------------------------------------------------------------------------------------


def write(lot: Lot, folder: Path, spool: Path) -> None:
    """The observatory of a lot as a configuration in `folder`; all its devices are simulated."""
    width, height, pixel_um = SMALL_PX if lot.small else FULL_PX
    tables = [
        _table(
            "[site]",
            name=lot.name,
            title=f"Night {lot.number} of soak {lot.seed}",
            latitude_deg=lot.place.latitude_deg,
            longitude_deg=lot.place.longitude_deg,
            height_m=lot.place.height_m,
            **({} if lot.shape.roof else {"roof": "none"}),
        ),
        *_early_end(lot),
        *([_table("[roof]", address="sim://roof", needs_parked=not lot.shape.clears)] if lot.shape.roof else []),
        _WEATHER,
        *(_rig(lot.shape, number) for number in range(1, lot.shape.rigs + 1)),
        _table("[night]", plan_work_s=0.1),
        _table("[solve]", solve_field=""),  # a program's time is no simulated time: a night would hang on it, not play
        _table("[storage]", data_dir="data", spool_dir=str(spool), free_min_gb=0.0),
        _table("[daemon]", run_dir="run"),
        _table(
            "[simulator]",
            seed=lot.sky_seed,
            weather=lot.weather,
            width_px=width,
            height_px=height,
            pixel_um=pixel_um,
        ),
    ]
    targets = folder / "targets.d"
    targets.mkdir(parents=True, exist_ok=True)
    (folder / "astrod.toml").write_text("\n".join(tables))
    (targets / "soak.toml").write_text(document(lot.wishes))


def _early_end(lot: Lot) -> list[str]:
    if lot.hours is None:
        return []
    dark = dark_time(lot.place, Darkness(), lot.night)
    end_us = min(dark.dawn_us, dark.dusk_us + round(lot.hours * HOUR_US))
    return [f"[darkness]\nnot_after = {iso(end_us)}\n"]


_WEATHER = """\
[[weather]]
name = "station"
address = "sim://weather"
poll_s = 10.0
stale_s = 60.0
frozen_s = 120.0
safe_after_s = 300.0
limits = [
  { name = "wind_m_s", high = 15.0, margin = 2.0 },
  { name = "gust_m_s", high = 20.0, margin = 2.0 },
  { name = "rain_mm_h", high = 0.0 },
  { name = "humidity_percent", high = 92.0, margin = 3.0 },
  { name = "cloud_percent", high = 85.0, margin = 10.0 },
]
"""


def _table(heading: str, **keys: str | float | bool) -> str:
    """A TOML table; JSON's spelling of a text, a number or a truth is TOML's too."""
    return "\n".join([heading, *(f"{key} = {json.dumps(value)}" for key, value in keys.items()), ""])


def _rig(shape: Shape, number: int) -> str:
    """One of the rigs: the second one's devices have a 2 in their names."""
    of = "" if number == 1 else str(number)
    parts = [
        _table("[[rig]]", name=f"rig{number}"),
        _table("[rig.mount]", address=f"sim://mount{of}", kind=shape.kind, settle_s=2.0),
        _table(
            "[[rig.train]]",
            name=f"train{number}",
            focal_length_mm=400.0,
            aperture_mm=80.0,
            **({"wheel": f"sim://wheel{of}"} if shape.wheel else {}),
        ),
        _table(
            "[rig.train.camera]",
            address=f"sim://camera{of}",
            readout_s=1.0,
            **({"cool_to_c": -10.0} if shape.cooler else {}),
        ),
        *([_table("[rig.train.focuser]", address=f"sim://focuser{of}", step=60)] if shape.focuser else []),
    ]
    return "\n".join(parts)
