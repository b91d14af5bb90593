"""What can be made to go wrong in the simulated observatory, and when: words that travel as JSON and TOML.

    [[fault]]
    kind = "crash"
    device = "camera"
    when = "exposing"          # the phase that the simulator sees its devices begin …
    nth = 3                    # … for the third time
    after_s = 20.0             # … and twenty seconds into it
    until = "restart"

A fault is due at an instant (`at`, or `at_us`), or so many seconds after a phase began (`when`, `nth`, `after_s`).
It lasts `lasts_s` seconds, or until its device is connected anew (`until = "reconnect"`), its session is killed and
started again (`"restart"`), its power was switched off and on (`"power"`), or for good (`"never"`). What each kind
does is in CATALOGUE; who carries it out is `injector`.
"""

import difflib
import math
import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from datetime import UTC, datetime
from typing import Any, Literal, get_args

from astrod_drivers.errors import BadAnswer
from astrod_drivers.protocols import KINDS
from astrod_drivers.wire import decode

Phase = Literal[
    "cooling",
    "opening",
    "slewing",
    "flipping",
    "focusing",
    "exposing",
    "reading_out",
    "idle",
    "parking",
    "closing",
]
"""What the simulator sees its devices begin. A flip is a slew that changes the side of the pier; `idle` begins when
nothing has moved or been exposed for a minute of the night."""

Until = Literal["time", "reconnect", "restart", "power", "never"]
"""What ends a fault. A `restart` connects anew too, and power that comes back restarts everything: each of these
mends what the ones before it would."""

ANY: tuple[str, ...] = tuple(KINDS)


@dataclass(frozen=True, slots=True)
class Entry:
    """A kind of fault: what it does, and to which kinds of device (keys of `protocols.KINDS`).

    `on` is empty for what happens to the sky or to the daemon's host; `where` says which of the four it is:
    `call` (between daemon and device), `truth` (the device or the sky itself), `host` (the computer and its disk).
    `amount` says what the amount means, with its unit, and `usual` what it is when none is given; `modes` lists the
    ways it can be had, the first of them unless another is asked for. `once`: it happens and is over, and what it
    did stays until somebody mends it.
    """

    does: str
    where: Literal["call", "truth", "host"]
    on: tuple[str, ...] = ()
    amount: str = ""
    usual: float | None = None
    modes: tuple[str, ...] = ()
    until: Until = "time"
    once: bool = False


_SENSORS = ("weather", "safety_monitor")

CATALOGUE: Mapping[str, Entry] = {
    # -- between the daemon and a device
    "hang": Entry(
        "Calls to the device never answer; with mode `after` the command is carried out first.",
        "call",
        ANY,
        modes=("before", "after"),
        until="restart",
    ),
    "slow": Entry("Each call takes so long before it is carried out.", "call", ANY, "seconds", 3.0),
    "drop": Entry(
        "The connection is lost: calls raise Unreachable until connected anew.", "call", ANY, until="reconnect"
    ),
    "crash": Entry(
        "The driver dies, and forgets what drivers forget: an exposure under way, the cooler's set point. Its session "
        "is dead until it is started again.",
        "call",
        ANY,
        until="restart",
    ),
    "vanish": Entry(
        "The device is gone from its server, as a camera that fell off the USB bus: every call raises DeviceMissing.",
        "call",
        ANY,
        until="power",
    ),
    "refuse": Entry("Each command is refused; reading goes on.", "call", ANY),
    "wrong": Entry(
        "What is read is nonsense: numbers that are none, far out of range, or text in place of numbers. It passes the "
        "checks that a driver host makes of every answer, so that the first and the last arrive as BadAnswer.",
        "call",
        ANY,
        modes=("nan", "range", "type"),
    ),
    # -- readings
    "stale": Entry("The last reading is read again and again, with its own old time.", "call", _SENSORS),
    "frozen": Entry("The last values are read again and again, as if they were new.", "call", _SENSORS),
    # -- frames
    "black": Entry("Frames are all zero.", "call", ("camera",)),
    "constant": Entry("Every pixel of a frame has the same value.", "call", ("camera",), "ADU", 1000.0),
    "repeat": Entry(
        "The first frame after the fault's begin is handed out again for each exposure that follows.",
        "call",
        ("camera",),
    ),
    "crop": Entry("Frames come with half their rows.", "call", ("camera",)),
    "torn": Entry("The frame's file ends in the middle.", "call", ("camera",)),
    "late": Entry("The image is ready so much later; 0 is never.", "call", ("camera",), "seconds", 0.0),
    # -- mount
    "flip_fails": Entry(
        "A slew that should change the side of the pier ends, on target, on the same side, and tracks on past the "
        "mount's own meridian limit.",
        "truth",
        ("mount",),
    ),
    "pier_lies": Entry("The mount reports the other side of the pier.", "call", ("mount",)),
    "tracking_stops": Entry(
        "The mount stands still while it reports that it tracks, on target. It still slews.", "truth", ("mount",)
    ),
    "drifts": Entry(
        "The tube runs off in hour angle and half as fast in declination, from each slew anew, while the mount reports "
        "that it is on target.",
        "truth",
        ("mount",),
        "arcseconds a minute",
        60.0,
    ),
    "slips": Entry(
        "The tube is knocked on its axis: from now on it points beside what the mount reports.",
        "truth",
        ("mount",),
        "arcminutes of hour angle",
        30.0,
        once=True,
    ),
    "park_fails": Entry("The mount takes the command to park and does not move.", "truth", ("mount",)),
    "park_lies": Entry(
        "The mount takes the command to park, stays where it is and reports parked.", "truth", ("mount",)
    ),
    # -- roof
    "roof_sticks": Entry(
        "The roof does not come past this share of its way, 0 closed to 1 open; it reads as still moving.",
        "truth",
        ("roof",),
        "share",
        0.5,
    ),
    "roof_lies": Entry("The roof stays where it is and reads as if each command was done.", "truth", ("roof",)),
    # -- what hangs behind the mount
    "cooler_resets": Entry("The cooler switches itself off, once.", "truth", ("camera",), once=True),
    "filter_sticks": Entry(
        "The wheel does not turn: it reads as moving for ever or, with mode `silent`, as if it had arrived.",
        "truth",
        ("wheel",),
        modes=("moving", "silent"),
    ),
    "focuser_slips": Entry(
        "The drawtube slides while the motor stands; the focuser reads as before.",
        "truth",
        ("focuser",),
        "steps",
        300.0,
        once=True,
    ),
    # -- the sky
    "rain": Entry("It rains, truly.", "truth", (), "mm/h", 2.0),
    "wind": Entry("The wind blows, truly.", "truth", (), "m/s", 25.0),
    "cloud": Entry("Thick cloud covers the sky, truly.", "truth", (), "percent", 100.0),
    # -- the site's power
    "mains_off": Entry(
        "The mains fail: the weather station reads `mains` 0 and a `battery_percent` that falls, to 0 in so long. The "
        "devices and the host go on all the same.",
        "truth",
        (),
        "minutes",
        30.0,
    ),
    # -- the daemon's host
    "clock_step": Entry(
        "The host's clock goes wrong by so much against the true time. The kernel says that nobody keeps it or, with "
        "mode `silent`, that it is as good as ever.",
        "host",
        (),
        "seconds",
        30.0,
        modes=("told", "silent"),
    ),
    "disk_full": Entry("Nothing more can be written to the data folder.", "host"),
    "disk_read_only": Entry("The data folder's disk is read-only.", "host"),
    "daemon_crash": Entry(
        "All the daemon's processes are killed, and started again so much later on the same data folder. What the "
        "devices do goes on; nobody parks or closes meanwhile.",
        "host",
        (),
        "seconds",
        5.0,
        once=True,
    ),
    "power_cut": Entry(
        "The host loses its power, and boots so much later: as `daemon_crash`, and what lay in memory is gone, the "
        "spooled frames and what safety remembers too. With mode `site` the devices lose theirs as well.",
        "host",
        (),
        "seconds",
        90.0,
        modes=("host", "site"),
        once=True,
    ),
}
"""Every kind of fault."""


@dataclass(frozen=True, slots=True)
class Fault:
    """One fault. Exactly one of `at`, `at_us` and `when` says when it is due.

    `at` is an ISO instant, or `dusk`, `dawn` or `start` (of the observatory) with an offset: "dusk+01:30:00".
    With `within`, a phase that is over when the fault is due is passed over: it waits for the next of that name.
    `lasts_s` counts where `until` is "time"; 0 is then as good as "never". `until` "" is what is usual for the kind.
    Raises ValueError for what makes no sense.
    """

    kind: str
    device: str = ""
    at: str = ""
    at_us: int | None = None
    when: Phase | None = None
    nth: int = 1
    after_s: float = 0.0
    within: bool = False
    lasts_s: float = 0.0
    until: Until | None = None
    amount: float | None = None
    mode: str = ""

    def __post_init__(self) -> None:
        if self.kind not in CATALOGUE:
            raise ValueError(f"there is no fault {self.kind!r}; {nearest(self.kind, CATALOGUE)}")
        self._check_trigger()
        entry = self.entry
        if bool(self.device) != bool(entry.on):
            said = "is a device's: name it" if entry.on else "is nobody's device: leave device away"
            raise ValueError(f"fault {self.kind!r} {said}")
        if self.mode and self.mode not in entry.modes:
            there = nearest(self.mode, entry.modes) if entry.modes else "it has none"
            raise ValueError(f"fault {self.kind!r} has no mode {self.mode!r}; {there}")
        if self.amount is not None and not (entry.amount and math.isfinite(self.amount)):
            raise ValueError(f"fault {self.kind!r} takes {entry.amount or 'no amount'}, not {self.amount}")
        if self.lasts_s and self.until not in (None, "time"):
            raise ValueError(f"fault {self.kind!r} lasts {self.lasts_s:g} s or until {self.until}, not both")

    def _check_trigger(self) -> None:
        given = [bool(self.at), self.at_us is not None, self.when is not None]
        if sum(given) != 1:
            raise ValueError(f"fault {self.kind!r} needs one of at, at_us and when, and no more")
        if self.at and not (_RELATIVE.match(self.at) or _instant_us(self.at) is not None):
            raise ValueError(f"at = {self.at!r} is no time; write dusk+01:30:00, dawn-00:10:00 or an ISO instant")
        if self.within and self.when is None:
            raise ValueError(f"fault {self.kind!r}: within is for a phase; say which with when")
        if self.nth < 1 or not (0.0 <= self.after_s < math.inf and 0.0 <= self.lasts_s < math.inf):
            raise ValueError(f"fault {self.kind!r}: nth is 1 or more, after_s and lasts_s are 0 or more")

    @property
    def entry(self) -> Entry:
        """What the catalogue says of its kind."""
        return CATALOGUE[self.kind]

    @property
    def ends(self) -> Until:
        """What ends it: as asked, or by its time where one is given, or as is usual for its kind."""
        return self.until or ("time" if self.lasts_s else self.entry.until)

    @property
    def size(self) -> float:
        """The amount asked for, or the usual one; 0 for a kind that has none."""
        return self.amount if self.amount is not None else self.entry.usual or 0.0

    @property
    def way(self) -> str:
        """The mode asked for, or the first of its kind."""
        return self.mode or (self.entry.modes[0] if self.entry.modes else "")

    def due_us(self, anchors: Mapping[str, int]) -> int | None:
        """When it is due; None where a phase says so. `anchors` has the instants of dusk, dawn and start.

        Raises ValueError for an anchor that is not there.
        """
        if self.at_us is not None or not self.at:
            return self.at_us
        found = _RELATIVE.match(self.at)
        if found is None:
            return _instant_us(self.at)
        name, sign, offset = found["anchor"], found["sign"], found["offset"]
        if name not in anchors:
            raise ValueError(f"at = {self.at!r}: {name} is not known here; there are {', '.join(anchors)}")
        return anchors[name] + (-1 if sign == "-" else 1) * _seconds(offset or "0:0:0") * 1_000_000


_RELATIVE = re.compile(
    r"^(?P<anchor>dusk|dawn|start)(?:(?P<sign>[+-])(?P<offset>\d{1,2}:[0-5]\d:[0-5]\d))?$",
)


def _seconds(offset: str) -> int:
    hours, minutes, seconds = (int(part) for part in offset.split(":"))
    return 3600 * hours + 60 * minutes + seconds


def _instant_us(text: str) -> int | None:
    try:
        instant = datetime.fromisoformat(text)
    except ValueError:
        return None
    return round((instant if instant.tzinfo else instant.replace(tzinfo=UTC)).timestamp() * 1e6)


def nearest(word: str, known: "Mapping[str, object] | tuple[str, ...]") -> str:
    """What the writer of an unknown word may have meant."""
    near = difflib.get_close_matches(word, list(known), 1)
    return f"did you mean {near[0]!r}?" if near else f"there are {', '.join(known)}"


def check(faults: tuple[Fault, ...], devices: Mapping[str, str]) -> None:
    """Raise ValueError for a device that the observatory has not, or that is not of the fault's kind.

    `devices` as `ObservatorySetup.names` gives them.
    """
    for number, fault in enumerate(faults, 1):
        if not fault.device:
            continue
        if fault.device not in devices:
            raise ValueError(f"fault {number}: there is no device {fault.device!r}; {nearest(fault.device, devices)}")
        kind = devices[fault.device]
        if kind not in fault.entry.on:
            raise ValueError(f"fault {number}: a {kind} has no {fault.kind!r}; that is for {', '.join(fault.entry.on)}")


def from_toml(text: str) -> tuple[Fault, ...]:
    """The faults of a file of `[[fault]]` tables. Raises ValueError, which says which one is wrong and how."""
    try:
        document = tomllib.loads(text)
    except tomllib.TOMLDecodeError as wrong:
        raise ValueError(f"not TOML: {wrong}") from wrong
    for key in document.keys() - {"fault"}:
        raise ValueError(f"unknown key {key!r}; {nearest(key, ('fault',))}")
    tables = document.get("fault", [])
    if not isinstance(tables, list):
        raise ValueError("write [[fault]], with two brackets: there may be several")
    return tuple(_from_table(number, table) for number, table in enumerate(tables, 1))


def _from_table(number: int, table: Any) -> Fault:
    if not isinstance(table, dict):
        raise ValueError(f"fault {number}: write [[fault]] and its keys below")
    known = tuple(part.name for part in fields(Fault))
    for key in table.keys() - set(known):
        raise ValueError(f"fault {number}: unknown key {key!r}; {nearest(key, known)}")
    if "kind" not in table:
        raise ValueError(f"fault {number}: it has no kind; {nearest('', CATALOGUE)}")
    for key, words in (("when", get_args(Phase)), ("until", get_args(Until))):
        if key in table and table[key] not in words:
            raise ValueError(f"fault {number}: {key} = {table[key]!r}; {nearest(str(table[key]), words)}")
    if isinstance(table.get("at"), datetime):  # TOML has instants of its own
        table = {**table, "at": table["at"].isoformat()}
    try:
        return decode(Fault, table, f"fault {number}")
    except BadAnswer as wrong:
        text = str(wrong).replace("; the two sides differ in version?", "").replace(" is no Fault", "")
        raise ValueError(text) from wrong


def settled(fault: Fault, anchors: Mapping[str, int]) -> Fault:
    """The same fault with its instant in `at_us`, where it has one. Raises ValueError as `Fault.due_us` does."""
    due_us = fault.due_us(anchors)
    return fault if due_us is None else replace(fault, at="", at_us=due_us)
